// Package kubeversion tells Kubernetes' packages which version of Kubernetes they are.
//
// Kubernetes' own build does that with linker flags; without them every component calls itself v0.0.0-master, and
// kubectl refuses to parse that in places. This project is built with plain go build, and the version is known to the
// binary anyway: it is in the list of modules.
package kubeversion

import (
	"fmt"
	"runtime/debug"
	"strings"
	_ "unsafe" // for linkname

	"k8s.io/component-base/version"
)

//go:linkname gitVersion k8s.io/component-base/version.gitVersion
var gitVersion string

//go:linkname gitMajor k8s.io/component-base/version.gitMajor
var gitMajor string

//go:linkname gitMinor k8s.io/component-base/version.gitMinor
var gitMinor string

//go:linkname gitTreeState k8s.io/component-base/version.gitTreeState
var gitTreeState string

//go:linkname gitCommit k8s.io/component-base/version.gitCommit
var gitCommit string

// fallback is the version when the binary does not hold its modules, as a test binary may not.
const fallback = "v" + version.DefaultKubeBinaryVersion + ".0"

// Set makes version.Get tell the truth. Call it first thing in main, before anything asks. It is not safe for
// concurrent use.
func Set() error {
	v := Module()
	parts := strings.SplitN(strings.TrimPrefix(v, "v"), ".", 3)
	if len(parts) < 3 {
		return fmt.Errorf("set Kubernetes version: %q is not one", v)
	}
	gitVersion, gitMajor, gitMinor, gitTreeState, gitCommit = v, parts[0], parts[1], "clean", ""
	if err := version.SetDynamicVersion(v); err != nil {
		return fmt.Errorf("set Kubernetes version: %w", err)
	}
	return nil
}

// Module returns the version of Kubernetes that the binary is built with, for example v1.35.4.
func Module() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return fallback
	}
	for _, m := range info.Deps {
		// The staging modules have the minor and patch version of Kubernetes, with major version 0.
		if m.Path == "k8s.io/component-base" {
			v := m.Version
			if m.Replace != nil {
				v = m.Replace.Version
			}
			return "v1." + strings.TrimPrefix(v, "v0.")
		}
	}
	return fallback
}
