package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"
)

// machine notes the commands, and has the rules that were added.
type machine struct {
	commands []string
	rules    map[string]bool
}

func (m *machine) run(_ context.Context, args ...string) error {
	line := strings.Join(args, " ")
	if rule, ok := strings.CutPrefix(line, "iptables -w -t nat -C "); ok {
		if !m.rules[rule] {
			return errors.New("no such rule")
		}
		return nil
	}
	m.commands = append(m.commands, line)
	if rule, ok := strings.CutPrefix(line, "iptables -w -t nat -A "); ok {
		m.rules[rule] = true
	}
	return nil
}

// routes are the commands about them, sorted, since the last call.
func (m *machine) routes() []string {
	var out []string
	for _, c := range m.commands {
		if strings.HasPrefix(c, "ip route") {
			out = append(out, c)
		}
	}
	m.commands = nil
	slices.Sort(out)
	return out
}

func member(name, ip, pods string) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDR: pods},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeHostName, Address: name}, {Type: corev1.NodeInternalIP, Address: "fc00::2"}, {Type: corev1.NodeInternalIP, Address: ip},
		}},
	}
}

func made(t *testing.T) (*network, *machine) {
	t.Helper()
	m := &machine{rules: map[string]bool{}}
	n, err := newNetwork("172.18.0.2", "fd00:10:244::/56,10.244.0.0/16", filepath.Join(t.TempDir(), "net.d"), m.run)
	require.NoError(t, err)
	n.mtu = 1450
	return n, m
}

func TestSync(t *testing.T) {
	t.Parallel()
	n, m := made(t)
	nodes := []*corev1.Node{
		member("self", "172.18.0.2", "10.244.0.0/24"), member("b", "172.18.0.3", "10.244.1.0/24"), member("c", "172.18.0.4", "10.244.2.0/24"),
		member("joining", "172.18.0.5", ""),
	}
	require.NoError(t, n.sync(t.Context(), nodes))
	require.True(t, m.rules["POSTROUTING -s 10.244.0.0/16 -m addrtype ! --dst-type LOCAL -j KIND-MASQ-AGENT"])
	require.Len(t, m.rules, 3)
	require.Equal(t, []string{
		"ip route replace 10.244.1.0/24 via 172.18.0.3", "ip route replace 10.244.2.0/24 via 172.18.0.4",
	}, m.routes())

	text, err := os.ReadFile(filepath.Join(n.configs, configFile))
	require.NoError(t, err)
	var config struct {
		Plugins []struct {
			Type string
			MTU  int
			IPAM struct{ Ranges [][]struct{ Subnet string } }
		}
	}
	require.NoError(t, json.Unmarshal(text, &config))
	require.Len(t, config.Plugins, 2)
	require.Equal(t, "ptp", config.Plugins[0].Type)
	require.Equal(t, 1450, config.Plugins[0].MTU)
	require.Equal(t, "10.244.0.0/24", config.Plugins[0].IPAM.Ranges[0][0].Subnet)

	require.NoError(t, n.sync(t.Context(), nodes[:2]))
	require.NotContains(t, strings.Join(m.commands, "\n"), " -A ", "rules that are there are not added again")
	require.Equal(t, []string{"ip route del 10.244.2.0/24", "ip route replace 10.244.1.0/24 via 172.18.0.3"}, m.routes())
}

func TestFollow(t *testing.T) {
	t.Parallel()
	n, _ := made(t)
	ctx, cancel := context.WithCancel(t.Context())
	routed := make(chan string, 10)
	n.run = func(_ context.Context, args ...string) error {
		if args[0] == "ip" {
			routed <- args[3]
		}
		return nil
	}
	client := fake.NewClientset(member("b", "172.18.0.3", "10.244.1.0/24"))
	watching := make(chan struct{})
	var once sync.Once
	client.PrependWatchReactor("nodes", func(action k8stesting.Action) (bool, watch.Interface, error) {
		w, err := client.Tracker().Watch(action.GetResource(), action.GetNamespace())
		once.Do(func() { close(watching) })
		return true, w, err
	})
	ended := make(chan error, 1)
	go func() { ended <- follow(ctx, client, n) }()
	require.Equal(t, "10.244.1.0/24", <-routed)
	<-watching // The tracker loses what happens between the list and the watch.
	_, err := client.CoreV1().Nodes().Create(ctx, member("c", "172.18.0.4", "10.244.2.0/24"), metav1.CreateOptions{})
	require.NoError(t, err)
	for pods := range routed {
		if pods == "10.244.2.0/24" {
			break
		}
	}
	cancel()
	require.NoError(t, <-ended)
}

func TestEnvironmentIsChecked(t *testing.T) {
	t.Parallel()
	_, err := newNetwork("fc00::2", "10.244.0.0/16", "", nil)
	require.ErrorContains(t, err, "HOST_IP")
	_, err = newNetwork("172.18.0.2", "fd00::/56", "", nil)
	require.ErrorContains(t, err, "POD_SUBNET")
	_, err = newNetwork("", "", "", nil)
	require.Error(t, err)
}
