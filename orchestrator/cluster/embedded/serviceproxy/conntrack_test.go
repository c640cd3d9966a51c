package serviceproxy

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

type table struct{ size atomic.Int64 }

func (t *table) SetConntrackMax(size int) { t.size.Store(int64(size)) }

func TestConntrackFollowsItsConfiguration(t *testing.T) {
	config := func(conntrack string) *corev1.ConfigMap {
		return &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: configName},
			Data:       map[string]string{configKey: "kind: KubeProxyConfiguration\nconntrack: " + conntrack},
		}
	}
	client, table := fake.NewClientset(config("{}")), &table{}
	table.size.Store(-1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- FollowConntrack(ctx, client, table, 8, slog.Default()) }()
	becomes := func(size int64) {
		t.Helper()
		require.Eventually(t, func() bool { return table.size.Load() == size }, 10*time.Second, time.Millisecond)
	}
	becomes(8 * 32768)
	maps := client.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	for conntrack, size := range map[string]int64{
		"{maxPerCore: 10}": 131072, "{maxPerCore: 10, min: 20}": 80, "{maxPerCore: 1, min: 20}": 20, "{maxPerCore: 0, min: 20}": 0,
	} {
		_, err := maps.Update(ctx, config(conntrack), metav1.UpdateOptions{})
		require.NoError(t, err)
		becomes(size)
	}
	_, err := maps.Update(ctx, config("[]"), metav1.UpdateOptions{})
	require.NoError(t, err)
	_, err = maps.Update(ctx, config("{min: 300000}"), metav1.UpdateOptions{})
	require.NoError(t, err)
	becomes(300000)
	require.NoError(t, maps.Delete(ctx, configName, metav1.DeleteOptions{}))
	becomes(0)
	cancel()
	require.NoError(t, <-done)
}
