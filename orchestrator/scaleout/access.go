package scaleout

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/bucket"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/depot"
)

// Access is how a worker reaches the store: exactly one field is set. It holds secrets, and is a file of a Secret.
type Access struct {
	Depot  *DepotAccess    `json:"depot,omitempty"`
	Bucket *bucket.Options `json:"bucket,omitempty"`
}

// DepotAccess is how a depot is reached from inside of the cluster.
type DepotAccess struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	// Certificate is the depot's own, as PEM: no other is trusted.
	Certificate []byte `json:"certificate"`
}

// ReadAccess reads the file of a Secret.
func ReadAccess(file string) (Access, error) {
	var a Access
	data, err := os.ReadFile(file)
	if err != nil {
		return a, errs.With(errs.Usage, fmt.Errorf("read access to the store: %w", err))
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, errs.With(errs.Usage, fmt.Errorf("read access to the store from %s: %w", file, err))
	}
	return a, nil
}

// Open returns the store. It sends nothing yet.
func (a Access) Open() (blob.Store, error) {
	switch {
	case a.Bucket != nil:
		return openBucket(*a.Bucket)
	case a.Depot == nil:
		return nil, errs.Newf(errs.Usage, "open store: neither a depot nor a bucket is named")
	}
	transport, err := depot.Trusting(a.Depot.Certificate)
	if err != nil {
		return nil, errs.With(errs.Usage, err)
	}
	return depot.NewClient(a.Depot.URL, a.Depot.Token, transport), nil
}
