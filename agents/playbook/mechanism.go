package playbook

// mechanism is what a rule can say is wrong. It is no text, so that no rule can say what is not in the table.
type mechanism int

const (
	unknown mechanism = iota
	buggyRelease
	dependencyDown
	networkDelay
	networkPartition
	nodeFailure
	permissionRevoked
	scaledToZero
	slowRelease
	unschedulable
	wrongConfigValue
	wrongImage
	wrongPort
)

// ids are the mechanisms' names in the taxonomy of diagnoses.
var ids = [...]string{
	unknown:           "",
	buggyRelease:      "buggy-release",
	dependencyDown:    "dependency-down",
	networkDelay:      "network-delay",
	networkPartition:  "network-partition",
	nodeFailure:       "node-failure",
	permissionRevoked: "permission-revoked",
	scaledToZero:      "scaled-to-zero",
	slowRelease:       "slow-release",
	unschedulable:     "unschedulable",
	wrongConfigValue:  "wrong-config-value",
	wrongImage:        "wrong-image",
	wrongPort:         "wrong-port",
}

func (m mechanism) String() string { return ids[m] }

// Mechanisms are all mechanisms that the playbook can diagnose.
func Mechanisms() []string { return append([]string(nil), ids[unknown+1:]...) }
