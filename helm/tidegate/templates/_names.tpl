{{/* Labels of everything this chart makes. Takes a dict: root, component. */}}
{{- define "tidegate.labels" -}}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{ include "tidegate.selector" . }}
{{- end }}

{{/* Labels by which this chart finds its own pods. Takes a dict: root, component. */}}
{{- define "tidegate.selector" -}}
app.kubernetes.io/name: tidegate
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* A generated password, kept over upgrades. Takes a dict: namespace, secret, key. */}}
{{- define "tidegate.password" -}}
{{- $found := lookup "v1" "Secret" .namespace .secret -}}
{{- if and $found (hasKey ($found.data | default dict) .key) -}}
{{ index $found.data .key | b64dec }}
{{- else -}}
{{ randAlphaNum 32 }}
{{- end -}}
{{- end }}

{{/* Name of a step or a pipeline in Kubernetes. */}}
{{- define "tidegate.dashed" -}}
{{ . | lower | replace "_" "-" }}
{{- end }}

{{/* Labels of every Airflow pod, whichever chart made it. */}}
{{- define "tidegate.airflowSelector" -}}
tier: airflow
release: {{ .Release.Name }}
{{- end }}

{{/* Airflow's secrets as environment variables: the ones the official chart gives its own containers. */}}
{{- define "tidegate.airflowSecrets" -}}
{{- $secrets := dict
  "AIRFLOW__API_AUTH__JWT_SECRET" (list .Values.airflow.jwtSecretName "jwt-secret")
  "AIRFLOW__API__SECRET_KEY" (list .Values.airflow.apiSecretKeySecretName "api-secret-key")
  "AIRFLOW__CORE__FERNET_KEY" (list .Values.airflow.fernetKeySecretName "fernet-key")
  "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" (list .Values.airflow.data.metadataSecretName "connection") -}}
{{- range $name, $from := $secrets }}
- {name: {{ $name }}, valueFrom: {secretKeyRef: {name: {{ first $from }}, key: {{ last $from }}}}}
{{- end }}
{{- end }}

{{/* What git-sync needs to know, as environment variables. */}}
{{- define "tidegate.gitSync" -}}
{{- with .Values.airflow.dags.gitSync -}}
- {name: GITSYNC_REPO, value: {{ .repo | quote }}}
- {name: GITSYNC_REF, value: {{ .ref | quote }}}
- {name: GITSYNC_DEPTH, value: "1"}
- {name: GITSYNC_PERIOD, value: {{ .period | quote }}}
- {name: GITSYNC_MAX_FAILURES, value: {{ .maxFailures | quote }}}
- {name: GITSYNC_ROOT, value: /git}
- {name: GITSYNC_LINK, value: repo}
- {name: GITSYNC_ADD_USER, value: "true"}
{{- with .env }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}
