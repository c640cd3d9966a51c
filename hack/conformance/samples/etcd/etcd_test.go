package etcd_test

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/gameday-bench/gameday/hack/conformance/samples/etcd"
	"github.com/gameday-bench/gameday/workloads/program"
	"github.com/gameday-bench/gameday/workloads/program/programtest"
)

const address = "http://127.0.0.1:2379"

// run starts etcd with the flags of Kubernetes' test and these. It returns a client that reaches it through the pod's network, and what
// ends both.
func run(t *testing.T, args ...string) (*clientv3.Client, func()) {
	t.Helper()
	im := etcd.Image()
	sys, err := program.System(&im, append([]string{"--listen-client-urls", address, "--advertise-client-urls", address}, args...))
	require.NoError(t, err)
	network := &programtest.Loopback{Network: sys.Net}
	sys.Net, sys.Stderr = network, io.Discard
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() { done <- etcd.Run(ctx, sys) }()
	// Before the program listens, the port is this machine's, and may be somebody's.
	require.Eventually(t, func() bool { return network.Address("tcp:2379") != "" || len(done) > 0 }, 30*time.Second, 10*time.Millisecond)
	if len(done) > 0 {
		require.FailNow(t, "etcd has ended", "%v", <-done)
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{address}, DialTimeout: 30 * time.Second, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return network.DialContext(ctx, "tcp", address)
		})},
	})
	require.NoError(t, err)
	return client, func() {
		require.NoError(t, client.Close())
		cancel()
		require.NoError(t, <-done)
	}
}

func TestKeepsItsData(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	data := filepath.Join(t.TempDir(), "data")
	client, end := run(t, "--data-dir", data)
	_, err := client.Put(ctx, "key", "value")
	require.NoError(t, err)
	end()
	require.DirExists(t, filepath.Join(data, "member", "wal"), "the data is in the container's files")

	client, end = run(t, "--data-dir", data)
	defer end()
	got, err := client.Get(ctx, "key")
	require.NoError(t, err)
	require.Len(t, got.Kvs, 1)
	require.Equal(t, "value", string(got.Kvs[0].Value))
	members, err := client.MemberList(ctx)
	require.NoError(t, err)
	require.Len(t, members.Members, 1)
	require.Equal(t, []string{address}, members.Members[0].ClientURLs, "it says what the flag says, not where it listens itself")
}

func TestRefusesWhatItCannotHonour(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--no-such-flag"}, "flag provided but not defined"},
		{[]string{"--wal-dir=/wal"}, "wal-dir is not supported"},
		{[]string{"--listen-peer-urls=http://0.0.0.0:2380"}, "listen-peer-urls is not supported"},
		{[]string{"--listen-client-urls=https://127.0.0.1:2379", "--advertise-client-urls=" + address}, "https is not supported (allowed: http)"},
		{[]string{"--listen-client-urls=" + address}, "--advertise-client-urls is required"},
		{[]string{"--log-level=loud"}, "log-level"},
		{[]string{"extra"}, `"extra" is not a valid flag`},
	} {
		im := etcd.Image()
		sys, err := program.System(&im, tc.args)
		require.NoError(t, err)
		err = etcd.Run(t.Context(), sys)
		require.ErrorContains(t, err, tc.want)
		var exit *program.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, 2, exit.Code)
	}
}
