{{- define "tailrace.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 48 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "tailrace.operator" -}}
{{ include "tailrace.fullname" . }}-operator
{{- end }}

{{- define "tailrace.serviceAccount" -}}
{{- default (ternary (include "tailrace.operator" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "tailrace.selector" -}}
app.kubernetes.io/name: tailrace
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end }}

{{- define "tailrace.labels" -}}
{{ include "tailrace.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* image (dict "image" .Values.images.x "default" TAG "global" .Values.global) */ -}}
{{- define "tailrace.image" -}}
{{- with default (default dict .global).imageRegistry .image.registry }}{{ trimSuffix "/" . }}/{{ end }}
{{- .image.repository }}
{{- with default .default .image.tag }}:{{ . }}{{ end }}
{{- with .image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- /* pullSecrets (list LIST...): of all lists, each once, as objects with a name */ -}}
{{- define "tailrace.pullSecrets" -}}
{{- $names := list }}
{{- range . }}{{ range . }}
{{- $names = append $names (kindIs "string" . | ternary . (get (kindIs "string" . | ternary dict .) "name")) }}
{{- end }}{{ end }}
{{- $secrets := list }}
{{- range uniq $names }}{{ $secrets = append $secrets (dict "name" .) }}{{ end }}
{{- toJson $secrets }}
{{- end }}

{{- /* What all pods have that the operator makes, as JSON. */ -}}
{{- define "tailrace.pods" -}}
{{- $pods := dict }}
{{- range $field, $value := .Values.pods }}{{ if $value }}{{ $_ := set $pods $field $value }}{{ end }}{{ end }}
{{- $secrets := include "tailrace.pullSecrets" (list .Values.pods.imagePullSecrets (default dict .Values.global).imagePullSecrets) | fromJsonArray }}
{{- with $secrets }}{{ $_ := set $pods "imagePullSecrets" . }}{{ end }}
{{- toJson $pods }}
{{- end }}
