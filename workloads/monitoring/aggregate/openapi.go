package aggregate

import (
	openapicommon "k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/util"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Definitions merges generated OpenAPI models. Releases that are older than Kubernetes 1.35 name their models by Go
// packages, as code generators did; the types themselves now say their names in the API: the models are renamed.
func Definitions(generated ...openapicommon.GetOpenAPIDefinitions) openapicommon.GetOpenAPIDefinitions {
	return func(ref openapicommon.ReferenceCallback) map[string]openapicommon.OpenAPIDefinition {
		out := map[string]openapicommon.OpenAPIDefinition{}
		named := func(path string) spec.Ref { return ref(util.ToRESTFriendlyName(path)) }
		for _, definitions := range generated {
			for path, d := range definitions(named) {
				for i, needed := range d.Dependencies {
					d.Dependencies[i] = util.ToRESTFriendlyName(needed)
				}
				out[util.ToRESTFriendlyName(path)] = d
			}
		}
		return out
	}
}
