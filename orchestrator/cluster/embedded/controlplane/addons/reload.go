package addons

import (
	"fmt"
	"time"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// CoreDNS's own periods of reload, where the Corefile gives none, and the shortest jitter that it accepts.
const (
	reloadPeriod = 30 * time.Second
	reloadJitter = time.Second
)

// reload is the directive that makes CoreDNS follow its Corefile. It is upstream's, without arguments, unless the timing is shorter.
func reload(t spec.Timing) string {
	if t.DNSReload <= 0 || t.DNSReload >= reloadPeriod {
		return "reload"
	}
	return fmt.Sprintf("reload %v %v", t.DNSReload, reloadJitter)
}
