package inventory

import "k8s.io/apimachinery/pkg/runtime/schema"

// kinds are the objects of namespaces whose loss or change is damage. Pods and ReplicaSets come and go by themselves.
func kinds() map[string]schema.GroupVersionResource {
	return map[string]schema.GroupVersionResource{
		"Deployment":              {Group: "apps", Version: "v1", Resource: "deployments"},
		"StatefulSet":             {Group: "apps", Version: "v1", Resource: "statefulsets"},
		"DaemonSet":               {Group: "apps", Version: "v1", Resource: "daemonsets"},
		"CronJob":                 {Group: "batch", Version: "v1", Resource: "cronjobs"},
		"Service":                 {Version: "v1", Resource: "services"},
		"ConfigMap":               {Version: "v1", Resource: "configmaps"},
		"Secret":                  {Version: "v1", Resource: "secrets"},
		"ServiceAccount":          {Version: "v1", Resource: "serviceaccounts"},
		"PersistentVolumeClaim":   {Version: "v1", Resource: "persistentvolumeclaims"},
		"ResourceQuota":           {Version: "v1", Resource: "resourcequotas"},
		"LimitRange":              {Version: "v1", Resource: "limitranges"},
		"NetworkPolicy":           {Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
		"Ingress":                 {Group: "networking.k8s.io", Version: "v1", Resource: "ingresses"},
		"PodDisruptionBudget":     {Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"},
		"HorizontalPodAutoscaler": {Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"},
		"Role":                    {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"},
		"RoleBinding":             {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "rolebindings"},
	}
}

// node is the one kind of the cluster's own that a trial may touch on a cluster with other users.
const node = "Node"

// clusterKinds are those without a namespace: what everything in namespaces is made by, admitted by, placed by and kept by.
// PersistentVolumes are left out: they go with their claims, which are in an inventory, and what they hold is looked at by itself.
func clusterKinds() map[string]schema.GroupVersionResource {
	return map[string]schema.GroupVersionResource{
		node:                             {Version: "v1", Resource: "nodes"},
		"Namespace":                      {Version: "v1", Resource: "namespaces"},
		"CustomResourceDefinition":       {Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"},
		"APIService":                     {Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"},
		"MutatingWebhookConfiguration":   {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"},
		"ValidatingWebhookConfiguration": {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"},
		"ValidatingAdmissionPolicy":      {Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"},
		"ValidatingAdmissionPolicyBinding": {
			Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings",
		},
		"ClusterRole":                {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterroles"},
		"ClusterRoleBinding":         {Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"},
		"StorageClass":               {Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"},
		"CSIDriver":                  {Group: "storage.k8s.io", Version: "v1", Resource: "csidrivers"},
		"PriorityClass":              {Group: "scheduling.k8s.io", Version: "v1", Resource: "priorityclasses"},
		"RuntimeClass":               {Group: "node.k8s.io", Version: "v1", Resource: "runtimeclasses"},
		"IngressClass":               {Group: "networking.k8s.io", Version: "v1", Resource: "ingressclasses"},
		"FlowSchema":                 {Group: "flowcontrol.apiserver.k8s.io", Version: "v1", Resource: "flowschemas"},
		"PriorityLevelConfiguration": {Group: "flowcontrol.apiserver.k8s.io", Version: "v1", Resource: "prioritylevelconfigurations"},
	}
}

// selfWritten are ConfigMaps that the control plane writes when it likes, and again when they are gone.
func selfWritten() []string {
	return []string{"kube-root-ca.crt", "kube-apiserver-legacy-service-account-token-tracking"}
}
