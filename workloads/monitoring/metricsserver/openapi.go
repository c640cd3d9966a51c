package metricsserver

import (
	openapicommon "k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/util"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/metrics-server/pkg/api/generated/openapi"
)

// definitions are the API's models. metrics-server's release names them by their Go packages, as code generators did before
// Kubernetes 1.35; the types themselves now say their names in the API.
func definitions(ref openapicommon.ReferenceCallback) map[string]openapicommon.OpenAPIDefinition {
	out := map[string]openapicommon.OpenAPIDefinition{}
	named := func(path string) spec.Ref { return ref(util.ToRESTFriendlyName(path)) }
	for path, d := range openapi.GetOpenAPIDefinitions(named) {
		for i, needed := range d.Dependencies {
			d.Dependencies[i] = util.ToRESTFriendlyName(needed)
		}
		out[util.ToRESTFriendlyName(path)] = d
	}
	return out
}
