package cri

import (
	"slices"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// user is who the container's processes are: what the pod asks for, or else the image's user. As with containerd, a user
// without an entry in /etc/passwd has root's group.
func (c *container) user() sandbox.User {
	sc := c.config.GetLinux().GetSecurityContext()
	u := sandbox.User{UID: c.image.User}
	if id := sc.GetRunAsUser(); id != nil {
		u.UID = uint32(id.Value)
	}
	if _, known := homes[u.UID]; known {
		u.GID = u.UID // Each of them has a group of its own.
	}
	if id := sc.GetRunAsGroup(); id != nil {
		u.GID = uint32(id.Value)
	}
	for _, id := range sc.GetSupplementalGroups() {
		if g := uint32(id); !slices.Contains(u.Groups, g) {
			u.Groups = append(u.Groups, g)
		}
	}
	return u
}

// criUser is the user as the container's status reports it.
func criUser(u sandbox.User) *runtimeapi.ContainerUser {
	linux := &runtimeapi.LinuxContainerUser{Uid: int64(u.UID), Gid: int64(u.GID), SupplementalGroups: []int64{int64(u.GID)}}
	for _, g := range u.Groups {
		if g != u.GID {
			linux.SupplementalGroups = append(linux.SupplementalGroups, int64(g))
		}
	}
	return &runtimeapi.ContainerUser{Linux: linux}
}
