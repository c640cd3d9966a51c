// Package load puts an application under load: an open-loop generator that runs in the cluster (package traffic), its
// profile, and what it has measured.
package load

import "github.com/gameday-bench/gameday/workloads/load/traffic"

// Profile is one load; see package traffic.
type Profile = traffic.Profile

// ParseProfiles reads a load.yaml and returns its profiles by name. The error names every mistake with its place.
func ParseProfiles(file string, data []byte) (map[string]Profile, error) {
	return traffic.ParseProfiles(file, data)
}
