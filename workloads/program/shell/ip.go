package shell

import (
	"cmp"
	"strings"

	"github.com/gameday-bench/gameday/workloads/program"
)

// ip is ip [address|link] [show]: the loopback and the pod's interface. A program changes neither: it has no privilege over its
// pod's network, as a container without CAP_NET_ADMIN.
func ip(c *command) int {
	const (
		usage  = 1
		kernel = 2
	)
	object, action := "", "show"
	if len(c.args) > 0 {
		object = c.args[0]
	}
	if len(c.args) > 1 {
		action = c.args[1]
	}
	addresses := object != "" && strings.HasPrefix("address", object)
	if !addresses && (object == "" || !strings.HasPrefix("link", object)) {
		return c.fail(usage, "want address or link")
	}
	switch action {
	case "show", "list", "ls":
	default:
		return c.fail(kernel, "RTNETLINK answers: Operation not permitted")
	}
	own, err := c.sys.Net.LookupHost(c.ctx, c.sys.Hostname)
	if err != nil {
		return c.fail(usage, "%v", err)
	}
	c.printf("1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue qlen 1000\n    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00\n")
	if addresses {
		c.printf("    inet 127.0.0.1/8 scope host lo\n")
	}
	mtu, _ := program.ReadFile(c.sys.Files, "/sys/class/net/eth0/mtu") // Only a pod has one.
	c.printf("2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu %s qdisc noqueue\n", cmp.Or(strings.TrimSpace(string(mtu)), "1500"))
	if addresses {
		for _, address := range own {
			c.printf("    inet %s/32 scope global eth0\n", address)
		}
	}
	return 0
}
