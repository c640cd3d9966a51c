// Package search finds hotels that are near and have a price for the dates.
package search

import (
	"context"
	"time"

	hotelpb "github.com/gameday-bench/gameday/workloads/apps/hotel/proto"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/service"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/stay"
)

// Port is the gRPC port.
const Port = "8082"

const (
	geoTimeout  = 2 * time.Second
	rateTimeout = 2500 * time.Millisecond
)

// Setup is the service's setup.
func Setup(ctx context.Context, s *service.Service) error {
	geo, err := s.Dial(service.Peer{Setting: "GEO_ADDR", Default: "geo:8083", Service: hotelpb.Geo_ServiceDesc.ServiceName,
		Timeout: geoTimeout, Idempotent: []string{"Nearby"}})
	if err != nil {
		return err
	}
	rate, err := s.Dial(service.Peer{Setting: "RATE_ADDR", Default: "rate:8084", Service: hotelpb.Rate_ServiceDesc.ServiceName,
		Timeout: rateTimeout, Idempotent: []string{"GetRates"}})
	if err != nil {
		return err
	}
	rpc, err := s.AddRPC(ctx, Port, nil)
	if err != nil {
		return err
	}
	hotelpb.RegisterSearchServer(rpc, &server{geo: hotelpb.NewGeoClient(geo), rate: hotelpb.NewRateClient(rate)})
	return nil
}

type server struct {
	hotelpb.UnimplementedSearchServer
	geo  hotelpb.GeoClient
	rate hotelpb.RateClient
}

// Nearby implements hotelpb.SearchServer.
func (s *server) Nearby(ctx context.Context, req *hotelpb.SearchRequest) (*hotelpb.SearchResponse, error) {
	if _, err := stay.Parse(req.InDate, req.OutDate); err != nil {
		return nil, err
	}
	near, err := s.geo.Nearby(ctx, &hotelpb.NearbyRequest{Lat: req.Lat, Lon: req.Lon})
	if err != nil {
		return nil, service.Upstream("geo", err)
	}
	rates, err := s.rate.GetRates(ctx, &hotelpb.GetRatesRequest{HotelIds: near.HotelIds, InDate: req.InDate, OutDate: req.OutDate})
	if err != nil {
		return nil, service.Upstream("rate", err)
	}
	resp := &hotelpb.SearchResponse{}
	for _, plan := range rates.RatePlans {
		resp.Offers = append(resp.Offers, &hotelpb.Offer{
			HotelId: plan.HotelId, TotalInclusiveCents: plan.RoomType.TotalInclusiveCents, Currency: plan.RoomType.Currency,
		})
	}
	return resp, nil
}
