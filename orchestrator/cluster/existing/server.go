package existing

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/version"
	apiversion "k8s.io/apimachinery/pkg/version"

	"github.com/gameday-bench/gameday/orchestrator/preflight"
)

const (
	// dialLimit is how long an API server may take for its first answer.
	dialLimit = 10 * time.Second
	// oldestMinor is the oldest minor version of Kubernetes 1 in which everything that is deployed is stable: probes by gRPC
	// are from 1.27, and 1.28 is the oldest that anybody still offers. testedMinor is the newest that was tried.
	oldestMinor = 28
	testedMinor = 35
)

// checkServer asks the server for its version: the first word with it.
func (in *inspection) checkServer(ctx context.Context) preflight.Check {
	ctx, cancel := context.WithTimeoutCause(ctx, dialLimit, fmt.Errorf("no answer within %s", dialLimit))
	defer cancel()
	data, err := in.kube.Discovery().RESTClient().Get().AbsPath("/version").Do(ctx).Raw()
	if err != nil {
		return in.unreachable(ctx, err)
	}
	var info apiversion.Info
	if err := json.Unmarshal(data, &info); err != nil {
		return preflight.Failed("server", "see that the address is that of a Kubernetes API server", "%s does not say its version: %v", in.target.Server, err)
	}
	v, err := version.ParseGeneric(info.GitVersion)
	if err != nil {
		return preflight.Failed("server", "see that the address is that of a Kubernetes API server", "%s calls its version %q", in.target.Server, info.GitVersion)
	}
	switch oldest := version.MajorMinor(1, oldestMinor); {
	case v.LessThan(oldest):
		return preflight.Failed("server", fmt.Sprintf("use a cluster of version 1.%d or later", oldestMinor), "Kubernetes %s is too old", info.GitVersion)
	case v.AtLeast(version.MajorMinor(1, testedMinor+1)):
		return preflight.Passed("server", "Kubernetes %s; newer than 1.%d, with which gameday was tested", info.GitVersion, testedMinor)
	}
	return preflight.Passed("server", "Kubernetes %s", info.GitVersion)
}

// unreachable explains why a server gave no answer.
func (in *inspection) unreachable(ctx context.Context, err error) preflight.Check {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if apierrors.IsUnauthorized(err) {
		return preflight.Failed("server", "log in again, or renew the credentials of the context", "%s does not accept the credentials", in.target.Server)
	}
	return preflight.Failed("server", fmt.Sprintf("see that the cluster is up and can be reached from here: kubectl --context %s version", in.target.Context),
		"%s cannot be reached: %v", in.target.Server, err)
}
