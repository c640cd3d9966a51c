package cluster

// ImageReporter is the capability of clusters whose pods are made from container images of known content.
type ImageReporter interface {
	// Images maps the references that pods use, as they are on this cluster, to the digests of the images' manifests
	// (sha256:...). It is known once the cluster is up, and does not change. The caller owns the map.
	Images() map[string]string
}
