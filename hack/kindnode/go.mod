module github.com/gameday-bench/gameday/hack/kindnode

go 1.26.3

require (
	github.com/cyphar/filepath-securejoin v0.6.1
	github.com/google/go-containerregistry v0.20.6
	github.com/stretchr/testify v1.12.1
	golang.org/x/sys v0.48.0
	gopkg.in/yaml.v3 v3.0.1
	k8s.io/api v0.35.4
	k8s.io/apimachinery v0.35.4
	k8s.io/client-go v0.35.4
	sigs.k8s.io/sig-storage-lib-external-provisioner/v13 v13.0.0
)
