-- wrk's requests: GETs of regions at random, of as many as BENCH_REGIONS says.
local regions = tonumber(os.getenv("BENCH_REGIONS"))

request = function()
    local number = math.random(0, regions - 1)
    return wrk.format("GET", string.format("/api/multicloud/v0/crowd_r%07d/tenants", number))
end
