package scaleout

import (
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/blob"
	"github.com/gameday-bench/gameday/orchestrator/scaleout/bucket"
)

// Storage is where tries are kept until they are gathered.
type Storage struct {
	// Class is the StorageClass of the depot's volume; empty is the cluster's default one. It is not used with Bucket.
	Class string
	// Bucket is set where a bucket is used and no depot.
	Bucket *bucket.Options
}

// ParseStorage reads pvc, pvc:CLASS or s3://BUCKET/PREFIX; lookupEnv has the credentials of a bucket. What is wrong is of party
// usage.
func ParseStorage(text string, lookupEnv func(string) (string, bool)) (Storage, error) {
	class, named := strings.CutPrefix(text, "pvc:")
	switch {
	case text == "pvc":
		return Storage{}, nil
	case named && class != "":
		return Storage{Class: class}, nil
	case strings.HasPrefix(text, "s3:"):
		options, err := bucket.Parse(text, lookupEnv)
		return Storage{Bucket: &options}, err
	}
	return Storage{}, errs.Hint(errs.Newf(errs.Usage, "invalid storage %q", text), "write pvc, pvc:STORAGECLASS or s3://BUCKET/PREFIX")
}

// of is the part of the bucket that belongs to one session of a run.
func (s Storage) of(run, session string) *bucket.Options {
	if s.Bucket == nil {
		return nil
	}
	own := *s.Bucket
	own.Prefix = path.Join(own.Prefix, run, session)
	return &own
}

// openBucket is bucket.Open for a blob.Store, which is nil after an error.
func openBucket(o bucket.Options) (blob.Store, error) {
	b, err := bucket.Open(o)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// ParseResources reads what each worker asks for, for example cpu=1,memory=3Gi. What is left out is as in DefaultResources. What is
// wrong is of party usage.
func ParseResources(text string) (Resources, error) {
	out := DefaultResources()
	if text == "" {
		return out, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		quantity, err := resource.ParseQuantity(value)
		field := map[string]*resource.Quantity{"cpu": &out.CPU, "memory": &out.Memory}[name]
		if err != nil || field == nil || quantity.Sign() <= 0 {
			return out, errs.Hint(errs.Newf(errs.Usage, "invalid resources %q", text), "write them as cpu=1,memory=3Gi")
		}
		*field = quantity
	}
	return out, nil
}
