package embedded

import "github.com/gameday-bench/gameday/internal/binaries"

// ClusterBinary is the executable of the control plane and the nodes.
const ClusterBinary = "gameday-cluster"

// Binaries are the executables that an embedded cluster is made of.
type Binaries struct {
	Cluster  string
	Programs []string
}

// FindBinaries looks for each executable where binaries.Find does. Those of somebody's own programs (binaries.Further) come last.
func FindBinaries() (Binaries, error) {
	clusterPath, err := binaries.Find("", ClusterBinary)
	if err != nil {
		return Binaries{}, err
	}
	for _, name := range binaries.Companions() {
		if _, err := binaries.Find("", name); err != nil {
			return Binaries{}, err
		}
	}
	b := Binaries{Cluster: clusterPath}
	for _, name := range binaries.Programs() {
		path, err := binaries.Find("", name)
		if err != nil {
			return Binaries{}, err
		}
		b.Programs = append(b.Programs, path)
	}
	further, err := binaries.Further()
	if err != nil {
		return Binaries{}, err
	}
	b.Programs = append(b.Programs, further...)
	return b, nil
}
