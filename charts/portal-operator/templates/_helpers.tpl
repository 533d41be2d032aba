{{/* Name of the chart, as in the label app.kubernetes.io/name. */}}
{{- define "portal-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Name of the objects. At most 45 characters, so that every suffix of the chart fits into 63. */}}
{{- define "portal-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $full = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- end -}}
{{- $full | trunc 45 | trimSuffix "-" -}}
{{- end -}}

{{- define "portal-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "portal-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "portal-operator.labels" -}}
{{ include "portal-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "portal-operator.serviceAccountName" -}}
{{- $default := ternary (include "portal-operator.fullname" .) "default" .Values.serviceAccount.create -}}
{{- default $default .Values.serviceAccount.name -}}
{{- end -}}

{{- define "portal-operator.leaseName" -}}
{{- default (include "portal-operator.fullname" .) .Values.leaderElection.leaseName -}}
{{- end -}}

{{- define "portal-operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* "true" where the operator may read Nodes. */}}
{{- define "portal-operator.nodes" -}}
{{- and .Values.rbac.nodes (empty .Values.watchNamespaces) -}}
{{- end -}}

{{/* "true" if a value of auto | true | false is on. Takes (list value "what auto means"). */}}
{{- define "portal-operator.enabled" -}}
{{- $value := index . 0 -}}
{{- if eq (toString $value) "auto" -}}{{ index . 1 }}{{- else -}}{{ $value }}{{- end -}}
{{- end -}}

{{/*
What the operator may do with portals and their children, in every namespace that it watches. The ClusterRole and the
Roles share it, and a test compares it with the requests that the code makes: change both together.
*/}}
{{- define "portal-operator.rules" -}}
{{/* No list: the watches stream their first list. */}}
- apiGroups: [portalplatform.dev]
  resources: [portalplatforms]
  verbs: [watch]
- apiGroups: [portalplatform.dev]
  resources: [portalplatforms/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, watch, create, patch]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [get, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, watch, create, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies, ingresses]
  verbs: [get, watch, create, patch, delete]
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, watch, create, patch, delete]
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, watch, create, patch, delete]
- apiGroups: [postgresql.cnpg.io]
  resources: [clusters]
  verbs: [get, watch, create, patch]
- apiGroups: [postgresql.cnpg.io]
  resources: [poolers, scheduledbackups]
  verbs: [get, watch, create, patch, delete]
- apiGroups: [barmancloud.cnpg.io]
  resources: [objectstores]
  verbs: [get, watch, create, patch]
- apiGroups: [batch]
  resources: [cronjobs]
  verbs: [get, watch, create, patch, delete]
# Why a pod is not ready, and in which zone it runs; how large the volumes of a database are.
- apiGroups: [""]
  resources: [pods, persistentvolumeclaims]
  verbs: [watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- if .Values.reload.enabled }}
# The operator asks for the metadata of labelled Secrets only. RBAC knows no such limit: this rule grants their content.
- apiGroups: [""]
  resources: [secrets]
  verbs: [watch]
{{- end }}
{{- end -}}

{{/* What the operator reads of the cluster itself; absent when it is bound to namespaces. */}}
{{- define "portal-operator.clusterRules" -}}
{{- if eq (include "portal-operator.nodes" .) "true" }}
# Zones of the nodes.
- apiGroups: [""]
  resources: [nodes]
  verbs: [watch]
{{- end }}
# The pod security level that a namespace enforces.
- apiGroups: [""]
  resources: [namespaces]
  verbs: [watch]
# Which optional APIs come and go.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [watch]
{{- end -}}
