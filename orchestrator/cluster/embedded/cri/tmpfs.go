package cri

import (
	"sync"

	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"

	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// tmpfsBooks are the open accounts of the pods' tmpfs volumes. Its zero value is empty; it is safe for concurrent use.
type tmpfsBooks struct {
	mu   sync.Mutex
	pods map[string]map[string]*sandbox.Account // By sandbox, then by the account's path.
}

// used is what a tmpfs of a pod holds, in bytes.
func (b *tmpfsBooks) used(sandboxID, path string) uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	account, ok := b.pods[sandboxID][path]
	if !ok {
		var err error
		if account, err = sandbox.OpenAccount(path); err != nil {
			return 0
		}
		if b.pods == nil {
			b.pods = map[string]map[string]*sandbox.Account{}
		}
		if b.pods[sandboxID] == nil {
			b.pods[sandboxID] = map[string]*sandbox.Account{}
		}
		b.pods[sandboxID][path] = account
	}
	return uint64(max(account.Used(), 0))
}

// drop closes the accounts of a pod that is gone.
func (b *tmpfsBooks) drop(sandboxID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, account := range b.pods[sandboxID] {
		_ = account.Close()
	}
	delete(b.pods, sandboxID)
}

// tmpfsAccounts are the accounts of the tmpfs volumes that a running container has mounted.
func (c *container) tmpfsAccounts() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.st.State != runtimeapi.ContainerState_CONTAINER_RUNNING {
		return nil
	}
	return c.tmpfs
}

// tmpfsUse is what the container's tmpfs volumes hold, in bytes. Of several containers with the same volume the oldest that
// runs is charged: who wrote what is not known.
func (c *container) tmpfsUse() uint64 {
	var total uint64
	for _, path := range c.tmpfsAccounts() {
		if used := c.r.tmpfs.used(c.sandbox.id, path); used > 0 && c.pays(path) {
			total += used
		}
	}
	return total
}

func (c *container) pays(path string) bool {
	for _, other := range c.r.containersOf(c.sandbox.id) {
		if other.createdAt >= c.createdAt {
			continue
		}
		for _, theirs := range other.tmpfsAccounts() {
			if theirs == path {
				return false
			}
		}
	}
	return true
}
