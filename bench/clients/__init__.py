"""What asks: `ab` with a connection for each request, `wrk` on kept ones, a client of our own for bodies of 1 GiB."""
