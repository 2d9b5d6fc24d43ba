"""ONAP MultiCloud's broker: one HTTP API in front of every cloud."""

VERSION = "0.1.0"
