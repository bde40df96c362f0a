{{- define "pomona.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for the names that are made of it. */}}
{{- define "pomona.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "pomona.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "pomona.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What pods are found by: (dict "root" $ "component" "executor"). */}}
{{- define "pomona.selector" -}}
app.kubernetes.io/name: {{ include "pomona.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "pomona.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{ include "pomona.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "pomona.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* The one name that everybody knows the scheduler by, which its certificate is for. */}}
{{- define "pomona.schedulerHost" -}}
{{- printf "%s-scheduler.%s.svc" (include "pomona.fullname" .) .Release.Namespace -}}
{{- end -}}

{{/* Executors' names are below it. */}}
{{- define "pomona.executorDomain" -}}
{{- printf "%s-executor.%s.svc.%s" (include "pomona.fullname" .) .Release.Namespace .Values.clusterDomain -}}
{{- end -}}

{{- define "pomona.serviceAccount" -}}
{{- $account := index .root.Values.serviceAccounts .component -}}
{{- if $account.name -}}
{{- $account.name -}}
{{- else if $account.create -}}
{{- printf "%s-%s" (include "pomona.fullname" .root) .component -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "pomona.tlsSecret" -}}
{{- $name := index .root.Values.tls.secrets .component -}}
{{- default (printf "%s-%s-tls" (include "pomona.fullname" .root) .component) $name -}}
{{- end -}}

{{/* The certificate as the files that the program reads, whoever made it. */}}
{{- define "pomona.tlsVolume" -}}
- name: tls
  secret:
    secretName: {{ include "pomona.tlsSecret" . }}
    defaultMode: 0440
    {{- if eq .root.Values.tls.source "cert-manager" }}
    items:
      - {key: ca.crt, path: ca.pem}
      - {key: tls.crt, path: cert.pem}
      - {key: tls.key, path: key.pem}
    {{- end }}
{{- end -}}

{{- define "pomona.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "pomona.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Variables and not arguments: `kubectl exec POD -- pomona cluster status` takes them too. */}}
{{- define "pomona.tlsEnv" -}}
- {name: POMONA_SCHEDULER, value: "{{ include "pomona.schedulerHost" . }}:50050"}
{{- if .Values.tls.enabled }}
- {name: POMONA_TLS, value: /certificates}
{{- end }}
{{- end -}}

{{/* How storage is reached. */}}
{{- define "pomona.storageEnv" -}}
{{- with .Values.storage.region }}
- {name: AWS_REGION, value: {{ . | quote }}}
{{- end }}
{{- with .Values.storage.endpoint }}
- {name: AWS_ENDPOINT_URL, value: {{ . | quote }}}
{{- end }}
{{- with .Values.storage.azureAccount }}
- {name: AZURE_STORAGE_ACCOUNT_NAME, value: {{ . | quote }}}
{{- end }}
{{- end -}}
