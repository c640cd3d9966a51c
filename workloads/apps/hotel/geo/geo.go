// Package geo finds hotels by where they are.
package geo

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"

	hotelpb "github.com/gameday-bench/gameday/workloads/apps/hotel/proto"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/service"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/stay"
)

// Port is the gRPC port.
const Port = "8083"

// radius is how far away, in kilometres, a hotel may be; defaultLimit how many are returned.
const (
	radius       = 10.0
	defaultLimit = 5
	maxLimit     = 50
)

// Setup is the service's setup.
func Setup(ctx context.Context, s *service.Service) error {
	rpc, db, err := s.AddStoreRPC(ctx, Port)
	if err != nil {
		return err
	}
	hotelpb.RegisterGeoServer(rpc, &server{db: db})
	return nil
}

type server struct {
	hotelpb.UnimplementedGeoServer
	db *service.DB
}

type point struct {
	id       string
	distance float64
}

// Nearby implements hotelpb.GeoServer: a bounding box in the store, then exact distances.
func (g *server) Nearby(ctx context.Context, req *hotelpb.NearbyRequest) (*hotelpb.NearbyResponse, error) {
	if err := stay.CheckPlace(req.Lat, req.Lon); err != nil {
		return nil, err
	}
	limit := int(req.Limit)
	if limit <= 0 {
		limit = defaultLimit
	}
	limit = min(limit, maxLimit)
	dLat := radius / stay.KilometresPerDegree
	dLon := dLat / max(0.01, math.Cos(req.Lat*math.Pi/180))
	var points []point
	// Numbers in scientific notation are DOUBLE to MySQL; others are DECIMAL and would be converted for every row.
	query := fmt.Sprintf("SELECT hotel_id, lat, lon FROM point WHERE lat BETWEEN %e AND %e AND lon BETWEEN %e AND %e",
		req.Lat-dLat, req.Lat+dLat, req.Lon-dLon, req.Lon+dLon)
	err := g.db.Query(ctx, "select points in box", query, nil,
		func(rows *sql.Rows) error {
			var p point
			var lat, lon float64
			if err := rows.Scan(&p.id, &lat, &lon); err != nil {
				return err
			}
			if p.distance = stay.Distance(req.Lat, req.Lon, lat, lon); p.distance <= radius {
				points = append(points, p)
			}
			return nil
		})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(points, func(a, b point) int { return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.id, b.id)) })
	resp := &hotelpb.NearbyResponse{}
	for _, p := range points[:min(limit, len(points))] {
		resp.HotelIds = append(resp.HotelIds, p.id)
	}
	return resp, nil
}
