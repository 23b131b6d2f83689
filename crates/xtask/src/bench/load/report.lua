-- Ends a run of wrk with one line for a program: wrk's own report rounds what it says.
function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      "measured requests=%d bytes=%d microseconds=%d connect=%d read=%d write=%d status=%d timeout=%d\n",
      summary.requests, summary.bytes, summary.duration,
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
