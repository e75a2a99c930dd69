{{/* Where fetch_weather asks: the value, or the stand-in, or OpenWeatherMap. */}}
{{- define "tidegate.weatherUrl" -}}
{{- if .Values.weather.url -}}
{{ .Values.weather.url }}
{{- else if .Values.devcloud.enabled -}}
http://weather-api.{{ .Release.Namespace }}.svc:8080/data/2.5/weather
{{- else -}}
https://api.openweathermap.org/data/2.5/weather
{{- end -}}
{{- end }}

{{/* Where the development lake listens, for steps and for the triggerer. */}}
{{- define "tidegate.lakeEndpoint" -}}
http://datalake.{{ .Release.Namespace }}.svc:10000
{{- end }}

{{/* What fetch_weather is told, as a step and as a service: JSON, variable -> text. */}}
{{- define "tidegate.weatherEnv" -}}
{{- with .Values.weather -}}
{{- dict "WEATHER_CITIES" (toJson .cities) "WEATHER_UNITS" .units "WEATHER_CALLS_PER_MINUTE" (toJson .callsPerMinute) "WEATHER_URL" (include "tidegate.weatherUrl" $) | toJson -}}
{{- end -}}
{{- end }}

{{/* The services that call_service may call, in its own words: JSON, name -> entry. */}}
{{- define "tidegate.services" -}}
{{- $names := dict "url" "url" "method" "method" "auth" "auth" "keyIn" "key_in" "keyName" "key_name" "reply" "reply" "timeoutSeconds" "timeout" "maxBytes" "max_bytes" "tries" "tries" -}}
{{- $found := dict -}}
{{- range $name, $service := .Values.services -}}
{{- $entry := dict -}}
{{- range $key, $value := $service -}}
{{- $_ := set $entry (get $names $key) $value -}}
{{- end -}}
{{- $_ := set $found $name $entry -}}
{{- end -}}
{{- if .Values.weather.service.enabled -}}
{{- $url := printf "http://fetch-weather.%s.svc:8080/weather" .Release.Namespace -}}
{{- $_ := set $found "fetch_weather" (dict "url" $url "method" "POST" "auth" "bearer" "timeout" 300) -}}
{{- end -}}
{{- $found | toJson -}}
{{- end }}

{{/* What a step gets besides its values: JSON, `env` and `keys` of its Secret. Takes a dict: root, name. */}}
{{- define "tidegate.stepExtras" -}}
{{- $env := dict -}}
{{- $keys := list -}}
{{- if .root.Values.devcloud.enabled -}}
{{- $env = dict "AWS_ENDPOINT_URL_S3" (printf "http://versitygw.%s.svc:7070" .root.Release.Namespace) "AWS_REGION" .root.Values.devcloud.versitygw.region -}}
{{- $keys = list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" -}}
{{- if has .name .root.Values.devcloud.datalake.steps -}}
{{- $_ := set $env "TIDEGATE_ABFSS_ENDPOINT" (include "tidegate.lakeEndpoint" .root) -}}
{{- $keys = append $keys "AZURE_STORAGE_KEY" -}}
{{- end -}}
{{- end -}}
{{- if and .root.Values.people.database.enabled (has .name (include "tidegate.peopleSteps" .root | fromJsonArray)) -}}
{{- $keys = append $keys "PEOPLE_DATABASE_URL" -}}
{{- end -}}
{{- if eq .name "send_mail" -}}
{{- $env = merge $env (include "tidegate.mailEnv" .root | fromJson) -}}
{{- if include "tidegate.mailCaught" .root -}}
{{- $keys = concat $keys (list "SMTP_USERNAME" "SMTP_PASSWORD" "SMTP_CA") -}}
{{- end -}}
{{- else if eq .name "fetch_weather" -}}
{{- $env = merge $env (include "tidegate.weatherEnv" .root | fromJson) -}}
{{- else if eq .name "check_weather" -}}
{{- $_ := set $env "WEATHER_CITIES" (toJson .root.Values.weather.cities) -}}
{{- else if eq .name "call_service" -}}
{{- $services := include "tidegate.services" .root -}}
{{- $_ := set $env "TIDEGATE_SERVICES" $services -}}
{{- range $service, $entry := fromJson $services -}}
{{- $kind := get (dict "bearer" "TOKEN" "api_key" "KEY") ($entry.auth | default "none") -}}
{{- if $kind -}}
{{- $keys = append $keys (printf "SERVICE_%s_%s" (upper $service) $kind) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "env" $env "keys" $keys | toJson -}}
{{- end }}
