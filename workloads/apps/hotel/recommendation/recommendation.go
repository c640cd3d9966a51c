// Package recommendation picks the best hotels by one measure.
package recommendation

import (
	"context"
	"database/sql"
	"math"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hotelpb "github.com/gameday-bench/gameday/workloads/apps/hotel/proto"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/service"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/stay"
)

// Port is the gRPC port.
const Port = "8085"

// limit is how many hotels are recommended.
const limit = 5

// Setup is the service's setup.
func Setup(ctx context.Context, s *service.Service) error {
	rpc, db, err := s.AddStoreRPC(ctx, Port)
	if err != nil {
		return err
	}
	hotelpb.RegisterRecommendationServer(rpc, &server{db: db})
	return nil
}

type server struct {
	hotelpb.UnimplementedRecommendationServer
	db *service.DB
}

type hotel struct {
	id              string
	lat, lon        float64
	rating, nightly float64
}

// GetRecommendations implements hotelpb.RecommendationServer: all hotels that share the best value, at most limit.
func (r *server) GetRecommendations(ctx context.Context, req *hotelpb.GetRecommendationsRequest) (*hotelpb.GetRecommendationsResponse, error) {
	if err := stay.CheckPlace(req.Lat, req.Lon); err != nil {
		return nil, err
	}
	var cost func(h hotel) float64
	switch req.Require {
	case "price":
		cost = func(h hotel) float64 { return h.nightly }
	case "rate":
		cost = func(h hotel) float64 { return -h.rating }
	case "dis":
		cost = func(h hotel) float64 { return stay.Distance(req.Lat, req.Lon, h.lat, h.lon) }
	default:
		return nil, status.Errorf(codes.InvalidArgument, "require %q: want price, rate or dis", req.Require)
	}
	best := math.Inf(1)
	resp := &hotelpb.GetRecommendationsResponse{}
	err := r.db.Query(ctx, "select hotels", "SELECT id, lat, lon, rating, nightly_cents FROM hotel ORDER BY id", nil, func(rows *sql.Rows) error {
		var h hotel
		if err := rows.Scan(&h.id, &h.lat, &h.lon, &h.rating, &h.nightly); err != nil {
			return err
		}
		switch c := cost(h); {
		case c < best:
			best, resp.HotelIds = c, []string{h.id}
		case c == best && len(resp.HotelIds) < limit:
			resp.HotelIds = append(resp.HotelIds, h.id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}
