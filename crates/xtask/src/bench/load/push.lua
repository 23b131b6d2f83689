-- Pushes what a plan says, one request after the other in each thread. Arguments: the beginning of the plans'
-- paths; the number of a thread, from 1, is added. A line is one of
--    blob <repository> <digest> <content>        a POST, then a PUT to where its answer says
--    manifest <repository> <reference> <content> a PUT
-- and counts once it was answered 201. The type of a manifest is the second argument.

local threads = {}

function setup(thread)
   table.insert(threads, thread)
   thread:set("number", #threads)
end

function init(args)
   plan = assert(io.open(args[1] .. number, "r"))
   media_type = args[2]
   blobs, manifests, wrong, complaint = 0, 0, 0, ""
   advance()
end

function advance()
   local line = plan:read("*l")
   if line == nil then
      kind = nil
      return
   end
   kind, repository, name, content = line:match("^(%S+) (%S+) (%S+) (.*)$")
   expected = kind == "blob" and 202 or 201
   location = nil
end

function request()
   if kind == "manifest" then
      local path = "/v2/" .. repository .. "/manifests/" .. name
      return wrk.format("PUT", path, { ["Content-Type"] = media_type }, content)
   elseif location then
      local octets = { ["Content-Type"] = "application/octet-stream" }
      return wrk.format("PUT", location, octets, content)
   end
   return wrk.format("POST", "/v2/" .. (repository or "none") .. "/blobs/uploads/", { ["Content-Length"] = "0" })
end

function response(status, headers, body)
   if status ~= expected or kind == nil then
      wrong = wrong + 1
      complaint = kind and string.format("%d to a %s: %s", status, kind, body:sub(1, 200)) or "the plan was too short"
      wrk.thread:stop()
   elseif status == 202 then
      local path = (headers["Location"] or headers["location"]):gsub("^https?://[^/]*", "")
      location = path .. (path:find("?", 1, true) and "&" or "?") .. "digest=" .. name
      expected = 201
   else
      if kind == "blob" then blobs = blobs + 1 else manifests = manifests + 1 end
      advance()
   end
end

function done(summary, latency, requests)
   local all = { blobs = 0, manifests = 0, wrong = 0 }
   local said = ""
   for _, thread in ipairs(threads) do
      for name in pairs(all) do all[name] = all[name] + thread:get(name) end
      if thread:get("complaint") ~= "" then said = thread:get("complaint") end
   end
   local errors = summary.errors
   io.write(string.format(
      "measured blobs=%d manifests=%d wrong=%d microseconds=%d connect=%d read=%d write=%d status=%d timeout=%d\n",
      all.blobs, all.manifests, all.wrong, summary.duration,
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
   if said ~= "" then io.write("complaint " .. said:gsub("%s+", " ") .. "\n") end
end
