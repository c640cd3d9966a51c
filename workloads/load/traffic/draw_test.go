package traffic

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRequestsDependOnSeedAndIndexAlone(t *testing.T) {
	t.Parallel()
	route, err := compile(Route{
		Path:    `/hotels?in={{.Date 1 30}}&out={{.Later 1 5}}&lat={{.Float 37.7 37.8 3}}&who={{.Query "a b&c"}}`,
		Headers: map[string]string{"Idempotency-Key": "{{.ID}}"},
		Body:    `n={{.Int 1 3}}&p={{.Pick "x" "y"}}`,
	})
	require.NoError(t, err)
	write := func(seed, index uint64) message {
		d := newDraw(seed)
		d.reset(index)
		m, err := route.write(d)
		require.NoError(t, err)
		return m
	}
	first, second := write(1, 5), write(1, 5)
	require.Equal(t, first, second)
	require.NotEqual(t, write(1, 5), write(1, 6))
	require.NotEqual(t, write(1, 5), write(2, 5))

	ids := map[string]bool{}
	for i := range uint64(5000) {
		m := write(3, i)
		ids[m.headers[0][1]] = true
		u, err := url.Parse(m.path)
		require.NoError(t, err)
		in, err := time.Parse(time.DateOnly, u.Query().Get("in"))
		require.NoError(t, err)
		out, err := time.Parse(time.DateOnly, u.Query().Get("out"))
		require.NoError(t, err)
		require.True(t, out.After(in) && out.Before(in.AddDate(0, 0, 6)), m.path)
		require.True(t, in.After(Epoch()) && !in.After(Epoch().AddDate(0, 0, 30)), m.path)
		require.Equal(t, "a b&c", u.Query().Get("who"))
		require.Contains(t, []string{"n=1&p=x", "n=2&p=x", "n=3&p=x", "n=1&p=y", "n=2&p=y", "n=3&p=y"}, m.body)
	}
	require.Len(t, ids, 5000, "identities must be unique")
}

func TestDrawsAreSpread(t *testing.T) {
	t.Parallel()
	counts := map[int]int{}
	d := newDraw(1)
	for i := range uint64(4000) {
		d.reset(i)
		n, err := d.Int(0, 3)
		require.NoError(t, err)
		counts[n]++
	}
	for n := range 4 {
		require.InDelta(t, 1000, counts[n], 130, "%v", counts)
	}
}

func TestProfileErrors(t *testing.T) {
	t.Parallel()
	const good = `target: http://x
rate: 10
arrival: poisson
routes:
  - {name: a, method: GET, path: /, weight: 1, timeout: 1s}
`
	tests := []struct{ name, text, want string }{
		{"rate", "target: http://x\nrate: -1\narrival: poisson\nroutes: [{name: a, method: GET, path: /, weight: 1, timeout: 1s}]", "requests per second"},
		{"arrival", "target: http://x\nrate: 1\narrival: uniform\nroutes: [{name: a, method: GET, path: /, weight: 1, timeout: 1s}]", "arrival"},
		{"unknown field", good + "ratee: 3\n", "ratee"},
		{"method", "target: http://x\nrate: 1\narrival: poisson\nroutes: [{name: a, method: FETCH, path: /, weight: 1, timeout: 1s}]", `unknown method "FETCH"`},
		{"template", "target: http://x\nrate: 1\narrival: poisson\nroutes: [{name: a, method: GET, path: '/{{.Nope}}', weight: 1, timeout: 1s}]", "Nope"},
		{"route twice", good + "  - {name: a, method: GET, path: /, weight: 1, timeout: 1s}\n", "twice"},
	}
	_, err := ParseProfile("load.yaml", []byte(good))
	require.NoError(t, err)
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseProfile("load.yaml", []byte(tc.text))
			require.ErrorContains(t, err, "load.yaml:")
			require.ErrorContains(t, err, tc.want)
		})
	}
}
