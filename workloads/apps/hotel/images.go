// Package hotel is the hotel reservation application: the topology of DeathStarBench's, written anew.
//
// The services are in the packages below this one; their manifests, topology, objectives and load are in files beside it.
package hotel

import (
	"github.com/gameday-bench/gameday/workloads/apps/hotel/frontend"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/geo"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/profile"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/rate"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/recommendation"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/reservation"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/search"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/service"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/user"
	"github.com/gameday-bench/gameday/workloads/program"
)

//go:generate go run ./seed/write manifests

// Version is the released build of every service.
const Version = "2.3.1"

// Images returns the images of the services. Some have later builds too; see their packages.
func Images() []program.Image {
	image := func(name, port string, setup service.Setup, later ...string) program.Image {
		return program.Image{
			Repository: "registry.local/hotel/" + name, User: program.NonRoot, Tags: append([]string{Version}, later...), Program: service.Program(name, setup),
			Ports: []string{port + "/tcp", service.AdminPort + "/tcp"},
		}
	}
	return []program.Image{
		image("frontend", frontend.Port, frontend.Setup),
		image("geo", geo.Port, geo.Setup),
		image("profile", profile.Port, profile.Setup, "2.3.2"),
		image("rate", rate.Port, rate.Setup, "2.3.2"),
		image("recommendation", recommendation.Port, recommendation.Setup),
		image("reservation", reservation.Port, reservation.Setup),
		image("search", search.Port, search.Setup),
		image("user", user.Port, user.Setup),
	}
}
