package dns

import (
	"fmt"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin"
)

// CoreDNS's own bounds and defaults.
const (
	reloadDefault, reloadMin = 30 * time.Second, 2 * time.Second
	jitterDefault, jitterMin = 15 * time.Second, time.Second
)

// setupReload looks at the Corefile again and again: reload [INTERVAL] [JITTER].
func setupReload(c *caddy.Controller) error {
	in := instanceOf(c)
	c.Next()
	args := c.RemainingArgs()
	if len(args) > 2 {
		return plugin.Error("reload", c.ArgErr())
	}
	values := [2]time.Duration{reloadDefault, jitterDefault}
	for i, text := range args {
		var err error
		if values[i], err = time.ParseDuration(text); err != nil {
			return plugin.Error("reload", err)
		}
	}
	if values[0] < reloadMin {
		return plugin.Error("reload", fmt.Errorf("interval value must be greater or equal to %v", reloadMin))
	}
	if values[1] < jitterMin {
		return plugin.Error("reload", fmt.Errorf("jitter value must be greater or equal to %v", jitterMin))
	}
	in.interval, in.jitter = values[0], min(values[1], values[0]/2)
	return nil
}
