{{/* Where the people's own server listens, if the chart runs it. */}}
{{- define "tidegate.peopleHost" -}}
people-postgresql.{{ .Release.Namespace }}.svc
{{- end }}

{{/* Whether send_mail sends to the development catcher: "yes" or nothing. */}}
{{- define "tidegate.mailCaught" -}}
{{- if and .Values.devcloud.enabled (not .Values.mail.host) -}}yes{{- end -}}
{{- end }}

{{/* How send_mail sends: JSON, variable -> text; nothing of a login. */}}
{{- define "tidegate.mailEnv" -}}
{{- $mail := .Values.mail -}}
{{- $env := dict "MAIL_SENDER" $mail.sender "MAIL_RECIPIENTS" (toJson $mail.recipients) -}}
{{- if include "tidegate.mailCaught" . -}}
{{- $env = merge $env (dict "SMTP_HOST" (printf "maildev.%s.svc" .Release.Namespace) "SMTP_PORT" "1025" "SMTP_SECURITY" "tls") -}}
{{- else if $mail.host -}}
{{- $env = merge $env (dict "SMTP_HOST" $mail.host "SMTP_PORT" (toJson $mail.port) "SMTP_SECURITY" $mail.security) -}}
{{- end -}}
{{- toJson $env -}}
{{- end }}

{{/* The steps that use the people's database, as a JSON list. */}}
{{- define "tidegate.peopleSteps" -}}
["dedup_people","send_mail"]
{{- end }}

{{/* What the catcher is opened with, and its certificate, which is its own authority: JSON, made once and kept. */}}
{{- define "tidegate.mailSecret" -}}
{{- $found := (lookup "v1" "Secret" .Release.Namespace "maildev" | default dict).data | default dict -}}
{{- $data := dict "username" "tidegate" "password" (include "tidegate.password" (dict "namespace" .Release.Namespace "secret" "maildev" "key" "password")) -}}
{{- if and (hasKey $found "tls.crt") (hasKey $found "tls.key") -}}
{{- $data = merge $data (dict "tls.crt" (index $found "tls.crt" | b64dec) "tls.key" (index $found "tls.key" | b64dec)) -}}
{{- else -}}
{{- $names := list "maildev" (printf "maildev.%s.svc" .Release.Namespace) -}}
{{- $made := genSelfSignedCertWithKey "maildev" nil $names 3650 (genPrivateKey "ecdsa") -}}
{{- $data = merge $data (dict "tls.crt" $made.Cert "tls.key" $made.Key) -}}
{{- end -}}
{{- toJson $data -}}
{{- end }}
