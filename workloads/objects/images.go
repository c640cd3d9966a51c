package objects

import "strings"

// Registry is the registry that manifests name. Nothing serves it: the nodes of the embedded cluster and of kind have its images.
const Registry = "registry.local"

// PullFrom puts registry, which may have a path, in the place of Registry in every container of the set. The empty registry
// leaves all as it is.
func (s Set) PullFrom(registry string) Set {
	if registry == "" {
		return s
	}
	for _, u := range s {
		pullFrom(u.Object, registry)
	}
	return s
}

// pullFrom walks to the lists of containers, wherever a kind has its pod template.
func pullFrom(v any, registry string) {
	switch v := v.(type) {
	case map[string]any:
		for field, child := range v {
			switch field {
			case "containers", "initContainers":
				setImages(child, registry)
			default:
				pullFrom(child, registry)
			}
		}
	case []any:
		for _, child := range v {
			pullFrom(child, registry)
		}
	}
}

func setImages(list any, registry string) {
	containers, _ := list.([]any)
	for _, item := range containers {
		container, ok := item.(map[string]any)
		if !ok {
			continue
		}
		image, _ := container["image"].(string)
		if path, ours := strings.CutPrefix(image, Registry+"/"); ours {
			container["image"] = strings.TrimSuffix(registry, "/") + "/" + path
		}
	}
}
