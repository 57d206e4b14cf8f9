-- wrk script: one POST per line of a file of form bodies, each line used once; every answered token goes to another file.
-- Arguments: path, file of bodies, file for answers, "once" or "again" (start over at the end), Authorization or "-".
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  path, mode = args[1], args[4]
  bodies = assert(io.open(args[2], "rb"))
  answers = assert(io.open(args[3], "wb"))
  headers = { ["Content-Type"] = "application/x-www-form-urlencoded" }
  if args[5] ~= "-" then headers["Authorization"] = args[5] end
  accepted, refused, exhausted, sample = 0, 0, 0, ""
end

function request()
  local body = bodies:read("*l")
  if body == nil and mode == "again" then
    bodies:seek("set")
    body = bodies:read("*l")
  end
  if body == nil then
    exhausted = exhausted + 1
    return wrk.format("GET", "/healthz")
  end
  return wrk.format("POST", path, headers, body)
end

function response(status, _, body)
  if status == 200 then
    accepted = accepted + 1
    if mode == "once" then answers:write(body, "\n") end
  else
    refused = refused + 1
    sample = status .. " " .. body
  end
end

function done(summary, latency)
  local sum = { accepted = 0, refused = 0, exhausted = 0 }
  local said = ""
  for _, thread in ipairs(threads) do
    for name in pairs(sum) do sum[name] = sum[name] + thread:get(name) end
    said = thread:get("sample")
  end
  local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
  io.write(string.format('{"accepted":%d,"refused":%d,"exhausted":%d,"errors":%d,"micros":%d,"p50":%d,"p90":%d,"p99":%d}\n',
    sum.accepted, sum.refused, sum.exhausted, errors, summary.duration, latency:percentile(50), latency:percentile(90), latency:percentile(99)))
  if said ~= "" then io.stderr:write(said, "\n") end
end
