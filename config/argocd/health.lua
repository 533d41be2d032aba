-- Health of a PortalPlatform (portalplatform.dev) for Argo CD. The kind is kstatus-compliant: Ready, Reconciling and
-- Stalled are conditions, and status.observedGeneration is -1 before the first reconcile.
local function health(status, message)
  return { status = status, message = message or "" }
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "Waiting for deletion")
end

local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "Waiting for the operator to observe the current generation")
end

if obj.spec ~= nil and obj.spec.suspend == true then
  return health("Suspended", "spec.suspend is true: observed, not changed")
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local stalled = conditions.Stalled
if stalled ~= nil and stalled.status == "True" then
  return health("Degraded", stalled.message)
end

local ready = conditions.Ready
if ready == nil then
  return health("Progressing", "Waiting for the condition Ready")
end
if ready.status == "True" then
  return health("Healthy", ready.message)
end
return health("Progressing", ready.message)
