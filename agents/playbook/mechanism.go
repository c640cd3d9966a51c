package playbook

// mechanism is what a rule can say is wrong. It is no text, so that no rule can say what is not in the table.
type mechanism int

const (
	unknown mechanism = iota
	buggyRelease
	connectionExhaustion
	cpuExhaustion
	credentialsInvalid
	dependencyDown
	diskExhaustion
	lockContention
	memoryExhaustion
	networkDelay
	networkPartition
	nodeFailure
	permissionRevoked
	podFailure
	scaledToZero
	schemaMismatch
	slowRelease
	unschedulable
	wrongConfigValue
	wrongImage
	wrongPort
	wrongProbe
	wrongResourceLimit
)

// ids are the mechanisms' names in the taxonomy of diagnoses.
var ids = [...]string{
	unknown:              "",
	buggyRelease:         "buggy-release",
	connectionExhaustion: "connection-exhaustion",
	cpuExhaustion:        "cpu-exhaustion",
	credentialsInvalid:   "credentials-invalid",
	dependencyDown:       "dependency-down",
	diskExhaustion:       "disk-exhaustion",
	lockContention:       "lock-contention",
	memoryExhaustion:     "memory-exhaustion",
	networkDelay:         "network-delay",
	networkPartition:     "network-partition",
	nodeFailure:          "node-failure",
	permissionRevoked:    "permission-revoked",
	podFailure:           "pod-failure",
	scaledToZero:         "scaled-to-zero",
	schemaMismatch:       "schema-mismatch",
	slowRelease:          "slow-release",
	unschedulable:        "unschedulable",
	wrongConfigValue:     "wrong-config-value",
	wrongImage:           "wrong-image",
	wrongPort:            "wrong-port",
	wrongProbe:           "wrong-probe",
	wrongResourceLimit:   "wrong-resource-limit",
}

func (m mechanism) String() string { return ids[m] }

// Mechanisms are all mechanisms that the playbook can diagnose.
func Mechanisms() []string { return append([]string(nil), ids[unknown+1:]...) }
