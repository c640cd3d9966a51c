// Package kubeversion makes the linked-in Kubernetes report its version.
//
// Kubernetes' own builds stamp the version into the binary with linker flags; a plain go build leaves a placeholder, which
// kubectl version, node objects and user agents would then show. This package sets the same variables at run time.
package kubeversion

import (
	"runtime/debug"
	"strings"
	"sync/atomic"
	_ "unsafe" // For linkname.

	_ "k8s.io/component-base/version" // Holds the variables.
)

// module is the module whose version is Kubernetes' version.
const module = "k8s.io/kubernetes"

//go:linkname dynamicGitVersion k8s.io/component-base/version.dynamicGitVersion
var dynamicGitVersion atomic.Value

//go:linkname gitVersion k8s.io/component-base/version.gitVersion
var gitVersion string

//go:linkname gitMajor k8s.io/component-base/version.gitMajor
var gitMajor string

//go:linkname gitMinor k8s.io/component-base/version.gitMinor
var gitMinor string

//go:linkname gitTreeState k8s.io/component-base/version.gitTreeState
var gitTreeState string

// Set sets the version that Kubernetes' components report to that of the module in this binary. A binary without it (a
// test of another package) is left as it is. It is called once, before any component starts.
func Set() {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			set(dep.Version)
			return
		}
	}
}

func set(version string) {
	parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
	if len(parts) < 3 {
		return
	}
	gitVersion, gitMajor, gitMinor, gitTreeState = version, parts[0], parts[1], "clean"
	dynamicGitVersion.Store(version)
}
