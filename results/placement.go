package results

// PlacementFile is the file in the directory of a trial that an executor played elsewhere than in the run's own process.
const PlacementFile = "placement.json"

// Executor says where the trials of a run are played, when that is not in the run's own process.
type Executor struct {
	// Kind is kubernetes: pods of a Job on a cluster that is there already.
	Kind string `json:"kind"`
	// Kubeconfig is the file, empty for the default ones; Context is its context and Server the address of the API server.
	Kubeconfig string `json:"kubeconfig,omitempty"`
	Context    string `json:"context"`
	Server     string `json:"server,omitempty"`
	// Workers is the number of pods at a time; 0 leaves it to the executor.
	Workers int `json:"workers,omitempty"`
	// Storage is where tries are kept until they are gathered: pvc, pvc:CLASS or s3://BUCKET/PREFIX.
	Storage string `json:"storage"`
	// Resources are what each pod asks for, for example cpu=1,memory=3Gi; empty for the executor's default.
	Resources string `json:"resources,omitempty"`
	// Registry is where the image of the harness is pushed; Image is the reference that the pods were given.
	Registry string `json:"registry,omitempty"`
	Image    string `json:"image,omitempty"`
}

// Placement is placement.json: where one try was played, and how it came into the run.
type Placement struct {
	SchemaVersion int `json:"schemaVersion"`
	// Object is where the executor kept the try until it was gathered. No two tries of a run have the same.
	Object string `json:"object,omitempty"`
	// Namespace, Pod and Node are names on the executor's cluster; Image is the reference of the pod's image.
	Namespace string `json:"namespace,omitempty"`
	Pod       string `json:"pod,omitempty"`
	Node      string `json:"node,omitempty"`
	Image     string `json:"image,omitempty"`
	// Host is the machine, or what the pod sees of it.
	Host Host `json:"host"`
}
