-- Sends the lines of a file as bodies, each once: the first argument is the file, then the first line and how many, then
-- the path, and then names and values of headers in turn. Ends with one line that a program can read.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  local first, count = tonumber(arguments[2]), tonumber(arguments[3])
  path, headers, lines, sent, spent = arguments[4], {}, {}, 0, 0
  for place = 5, #arguments, 2 do
    headers[arguments[place]] = arguments[place + 1]
  end
  local number = 0
  for line in io.lines(arguments[1]) do
    if number >= first + count then break end
    if number >= first then table.insert(lines, line) end
    number = number + 1
  end
end

function request()
  sent = sent + 1
  if sent > #lines then
    spent = 1
    return wrk.format("GET", "/health", headers)
  end
  return wrk.format("POST", path, headers, lines[sent])
end

function done(summary, latency, requests)
  local spent, sent = 0, 0
  for _, thread in ipairs(threads) do
    spent = spent + thread:get("spent")
    sent = sent + thread:get("sent")
  end
  local errors = summary.errors
  io.write(string.format(
    "RESULT %d %d %d %d %d %d %d %d %d %d\n", summary.requests, summary.duration, sent, spent,
    errors.status, errors.connect, errors.read, errors.write, errors.timeout, latency:percentile(99)
  ))
end
