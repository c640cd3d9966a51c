package prometheusadapter

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/common/model"
	"sigs.k8s.io/prometheus-adapter/pkg/client"
)

// queryTimeout is how long Prometheus may take. Upstream sets none: an adapter that waits for a Prometheus that is cut off
// would hold each of the autoscaler's requests until that gives up, half a minute later.
const queryTimeout = 10 * time.Second

// newClient asks the Prometheus at address over the container's network.
func newClient(address *url.URL, dial func(ctx context.Context, network, address string) (net.Conn, error)) client.Client {
	plain := client.NewGenericAPIClient(&http.Client{
		Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute}, Timeout: queryTimeout,
	}, address, nil)
	return client.NewClientForAPI(timely{plain}, http.MethodGet)
}

// timely says how much time is left until the deadline. The library takes the difference the wrong way round: a negative
// timeout, which Prometheus refuses.
type timely struct{ client.GenericAPIClient }

// Do implements client.GenericAPIClient.
func (c timely) Do(ctx context.Context, verb, endpoint string, query url.Values) (client.APIResponse, error) {
	if deadline, ok := ctx.Deadline(); ok && query.Has("timeout") {
		query.Set("timeout", model.Duration(max(time.Until(deadline), time.Millisecond)).String())
	}
	return c.GenericAPIClient.Do(ctx, verb, endpoint, query)
}
