{{/* An image's reference within global.imageRegistry. Takes a dict: root, image. */}}
{{- define "tidegate.image" -}}
{{- $registry := .root.Values.global.imageRegistry | trimSuffix "/" -}}
{{- $parts := splitList "/" .image -}}
{{- $host := first $parts -}}
{{- if or (not $registry) (hasPrefix (printf "%s/" $registry) .image) -}}
{{ .image }}
{{- else if and (gt (len $parts) 1) (or (contains "." $host) (contains ":" $host) (eq $host "localhost")) -}}
{{ $registry }}/{{ rest $parts | join "/" }}
{{- else -}}
{{ $registry }}/{{ .image }}
{{- end -}}
{{- end }}

{{/* Whether an image is named by its content, as the ledger wants it: "yes" or nothing. A tag of digits that is a date is none. */}}
{{- define "tidegate.exact" -}}
{{- $tag := regexFind ":[0-9a-f]{12,64}$" . | trimPrefix ":" -}}
{{- $date := "^(19|20)[0-9]{2}(0[1-9]|1[0-2])([0-2][0-9]|3[01])([01][0-9]|2[0-3])[0-5][0-9]([0-5][0-9])?$" -}}
{{- if or (regexMatch "@sha256:[0-9a-f]{64}$" .) (and $tag (not (contains "@" .)) (not (regexMatch $date $tag))) -}}yes{{- end -}}
{{- end }}

{{/* Airflow's image as `airflow.images` names it. */}}
{{- define "tidegate.officialImage" -}}
{{- $image := .Values.airflow.images.airflow -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag }}
{{- end -}}
{{- end }}

{{/* Airflow's image, for the Jobs and for standalone mode. */}}
{{- define "tidegate.airflowImage" -}}
{{- include "tidegate.image" (dict "root" . "image" (.Values.image.airflow | default (include "tidegate.officialImage" .))) -}}
{{- end }}

{{/*
The official chart's own templates for its images, replaced: Helm lets the chart above win. They read its block of values, `images`,
and put global.imageRegistry before every name, which that chart has no value for.
*/}}
{{- define "tidegate.theirImage" -}}
{{- $reference := printf "%s:%s" .repository (.tag | default "latest" | toString) -}}
{{- if .digest -}}{{- $reference = printf "%s@%s" .repository .digest -}}{{- end -}}
{{- include "tidegate.image" (dict "root" .root "image" $reference) -}}
{{- end }}

{{- define "default_airflow_image" -}}
{{- include "tidegate.theirImage" (dict "root" . "repository" .Values.defaultAirflowRepository "tag" .Values.defaultAirflowTag "digest" .Values.defaultAirflowDigest) -}}
{{- end }}

{{- define "airflow_image" -}}
{{- $image := .Values.images.airflow -}}
{{- include "tidegate.theirImage" (dict "root" . "repository" ($image.repository | default .Values.defaultAirflowRepository) "tag" ($image.tag | default .Values.defaultAirflowTag) "digest" ($image.digest | default .Values.defaultAirflowDigest)) -}}
{{- end }}

{{/* Of the KubernetesExecutor's pods: our Airflow too, where no other is named. */}}
{{- define "pod_template_image" -}}
{{- $image := .Values.images.pod_template -}}
{{- if $image.repository -}}
{{- include "tidegate.theirImage" (dict "root" . "repository" $image.repository "tag" $image.tag) -}}
{{- else -}}
{{- include "airflow_image" . -}}
{{- end -}}
{{- end }}

{{- define "flower_image" -}}
{{- $image := .Values.images.flower -}}
{{- if $image.repository -}}
{{- include "tidegate.theirImage" (dict "root" . "repository" $image.repository "tag" $image.tag) -}}
{{- else -}}
{{- include "airflow_image" . -}}
{{- end -}}
{{- end }}

{{- define "git_sync_image" -}}
{{- include "tidegate.theirImage" (merge (dict "root" .) .Values.images.gitSync) -}}
{{- end }}

{{- define "otel_collector_image" -}}
{{- include "tidegate.theirImage" (merge (dict "root" .) .Values.images.otelCollector) -}}
{{- end }}

{{- define "pgbouncer_image" -}}
{{- include "tidegate.theirImage" (merge (dict "root" .) .Values.images.pgbouncer) -}}
{{- end }}

{{- define "pgbouncer_exporter_image" -}}
{{- include "tidegate.theirImage" (merge (dict "root" .) .Values.images.pgbouncerExporter) -}}
{{- end }}

{{- define "redis_image" -}}
{{- include "tidegate.theirImage" (merge (dict "root" .) .Values.images.redis) -}}
{{- end }}

{{- define "statsd_image" -}}
{{- include "tidegate.theirImage" (merge (dict "root" .) .Values.images.statsd) -}}
{{- end }}
