// Package profile describes hotels.
package profile

import (
	"context"
	"database/sql"
	"strings"
	"time"

	hotelpb "github.com/gameday-bench/gameday/workloads/apps/hotel/proto"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/service"
)

// Port is the gRPC port.
const Port = "8081"

// cacheTTL bounds how old a description may be.
const (
	cacheTTL  = 10 * time.Second
	keyPrefix = "profile:"
)

// Setup is the service's setup.
func Setup(ctx context.Context, s *service.Service) error {
	rpc, db, cache, err := s.AddCachedRPC(ctx, Port, cacheTTL)
	if err != nil {
		return err
	}
	p := &server{db: db, cache: cache, views: func(*hotelpb.HotelProfile) {}}
	// BUILD VARIANT 2.3.2: counts in the background how often amenities are shown, in a map that is never made for hotels
	// without a restaurant; the panic is outside any request and ends the process.
	if s.Sys.Variant == "2.3.2" {
		p.views = countAmenities
	}
	hotelpb.RegisterProfileServer(rpc, p)
	return nil
}

type server struct {
	hotelpb.UnimplementedProfileServer
	db    *service.DB
	cache *service.Cache
	// views is told about every hotel that is shown.
	views func(h *hotelpb.HotelProfile)
}

func countAmenities(h *hotelpb.HotelProfile) {
	go func() {
		var shown map[string]int
		for _, a := range h.Amenities {
			if a == "restaurant" {
				shown = map[string]int{}
			}
		}
		for _, a := range h.Amenities {
			shown[a]++
		}
	}()
}

// GetProfiles implements hotelpb.ProfileServer.
func (p *server) GetProfiles(ctx context.Context, req *hotelpb.GetProfilesRequest) (*hotelpb.GetProfilesResponse, error) {
	resp := &hotelpb.GetProfilesResponse{}
	if len(req.HotelIds) == 0 {
		return resp, nil
	}
	keys := make([]string, len(req.HotelIds))
	for i, id := range req.HotelIds {
		keys[i] = keyPrefix + id
	}
	profiles, err := service.Through(ctx, p.cache, keys, p.load)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if h, ok := profiles[key]; ok {
			p.views(h)
			resp.Hotels = append(resp.Hotels, h)
		}
	}
	return resp, nil
}

func (p *server) load(ctx context.Context, missing []string) (map[string]*hotelpb.HotelProfile, error) {
	ids := make([]string, len(missing))
	for i, key := range missing {
		ids[i] = strings.TrimPrefix(key, keyPrefix)
	}
	in, args := service.In(ids)
	loaded := map[string]*hotelpb.HotelProfile{}
	err := p.db.Query(ctx, "select profiles",
		"SELECT id, name, phone_number, description, street, city, state, country, postal_code, lat, lon, amenities FROM profile WHERE id IN ("+in+")", args,
		func(rows *sql.Rows) error {
			h := &hotelpb.HotelProfile{Address: &hotelpb.Address{}}
			a, amenities := h.Address, ""
			if err := rows.Scan(&h.Id, &h.Name, &h.PhoneNumber, &h.Description, &a.Street, &a.City, &a.State, &a.Country, &a.PostalCode, &a.Lat, &a.Lon, &amenities); err != nil {
				return err
			}
			h.Amenities = strings.Split(amenities, ",")
			loaded[keyPrefix+h.Id] = h
			return nil
		})
	return loaded, err
}
