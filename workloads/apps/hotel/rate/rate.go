// Package rate prices stays.
package rate

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	hotelpb "github.com/gameday-bench/gameday/workloads/apps/hotel/proto"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/service"
	"github.com/gameday-bench/gameday/workloads/apps/hotel/stay"
)

// Port is the gRPC port.
const Port = "8084"

// cacheTTL bounds how old a price may be.
const cacheTTL = 10 * time.Second

// Prices are in cents; factors and taxes in percent.
const (
	currency = "USD"
	percent  = 100
)

// Setup is the service's setup.
func Setup(ctx context.Context, s *service.Service) error {
	rpc, db, cache, err := s.AddCachedRPC(ctx, Port, cacheTTL)
	if err != nil {
		return err
	}
	r := &server{db: db, cache: cache, supplement: noSupplement}
	// BUILD VARIANT 2.3.2: prices nights at the weekend by the supplement of the plan, and fails for plans that have none.
	if s.Sys.Variant == "2.3.2" {
		r.supplement = weekendSupplement
	}
	hotelpb.RegisterRateServer(rpc, r)
	return nil
}

type server struct {
	hotelpb.UnimplementedRateServer
	db    *service.DB
	cache *service.Cache
	// supplement returns what one night costs beyond the plan's price, in percent.
	supplement func(plan plan, night time.Time) (int64, error)
}

// plan is a rate plan of a hotel.
type plan struct {
	Hotel, Code, RoomCode, Description string
	NightlyCents, TaxPercent           int64
}

// entry is what the cache holds under one key: the plans of a hotel, or the factor of a night in percent.
type entry struct {
	Plans  []plan `json:",omitempty"`
	Factor int64  `json:",omitempty"`
}

// The beginnings of the cache's keys; a hotel or a night follows.
const (
	plansKey  = "plans:"
	seasonKey = "season:"
)

func noSupplement(plan, time.Time) (int64, error) { return 0, nil }

// weekendSupplements are the supplements by rate code, in percent.
func weekendSupplements() map[string]int64 { return map[string]int64{"CORP": 0, "FLEX": 10} }

func weekendSupplement(p plan, night time.Time) (int64, error) {
	if d := night.Weekday(); d != time.Friday && d != time.Saturday {
		return 0, nil
	}
	supplement, ok := weekendSupplements()[p.Code]
	if !ok {
		return 0, status.Errorf(codes.Internal, "price %s for %s: no weekend supplement for rate code %q", p.Hotel, night.Format(time.DateOnly), p.Code)
	}
	return supplement, nil
}

// GetRates implements hotelpb.RateServer: the cheapest plan of each hotel, cheapest hotel first.
func (r *server) GetRates(ctx context.Context, req *hotelpb.GetRatesRequest) (*hotelpb.GetRatesResponse, error) {
	st, err := stay.Parse(req.InDate, req.OutDate)
	if err != nil {
		return nil, err
	}
	if len(req.HotelIds) == 0 {
		return &hotelpb.GetRatesResponse{}, nil
	}
	var keys []string
	for _, id := range req.HotelIds {
		keys = append(keys, plansKey+id)
	}
	for i := range st.Nights() {
		keys = append(keys, seasonKey+st.Night(i).Format(time.DateOnly))
	}
	entries, err := service.Through(ctx, r.cache, keys, r.load)
	if err != nil {
		return nil, err
	}
	resp := &hotelpb.GetRatesResponse{}
	for _, id := range req.HotelIds {
		best, err := r.cheapest(entries, id, st)
		if err != nil {
			return nil, err
		}
		if best != nil {
			best.InDate, best.OutDate = req.InDate, req.OutDate
			resp.RatePlans = append(resp.RatePlans, best)
		}
	}
	slices.SortFunc(resp.RatePlans, func(a, b *hotelpb.RatePlan) int {
		return cmp.Or(cmp.Compare(a.RoomType.TotalInclusiveCents, b.RoomType.TotalInclusiveCents), cmp.Compare(a.HotelId, b.HotelId))
	})
	return resp, nil
}

// cheapest prices the stay in every plan of a hotel and returns the cheapest, or nil when the hotel has none.
func (r *server) cheapest(entries map[string]entry, hotel string, st stay.Stay) (*hotelpb.RatePlan, error) {
	var best *hotelpb.RatePlan
	for _, p := range entries[plansKey+hotel].Plans {
		var total int64
		for i := range st.Nights() {
			night := st.Night(i)
			factor := entries[seasonKey+night.Format(time.DateOnly)].Factor
			if factor == 0 {
				factor = percent
			}
			supplement, err := r.supplement(p, night)
			if err != nil {
				return nil, err
			}
			total += p.NightlyCents * (factor + supplement) / percent
		}
		inclusive := total * (percent + p.TaxPercent) / percent
		if best != nil && best.RoomType.TotalInclusiveCents <= inclusive {
			continue
		}
		best = &hotelpb.RatePlan{HotelId: hotel, Code: p.Code, RoomType: &hotelpb.RoomType{
			Code: p.RoomCode, Description: p.Description, Currency: currency,
			NightlyCents: p.NightlyCents, TotalCents: total, TotalInclusiveCents: inclusive,
		}}
	}
	return best, nil
}

// load reads what is missing in the cache from the store.
func (r *server) load(ctx context.Context, missing []string) (map[string]entry, error) {
	var hotels, nights []string
	for _, key := range missing {
		if hotel, ok := strings.CutPrefix(key, plansKey); ok {
			hotels = append(hotels, hotel)
		} else {
			nights = append(nights, strings.TrimPrefix(key, seasonKey))
		}
	}
	entries := map[string]entry{}
	if err := r.plans(ctx, hotels, entries); err != nil {
		return nil, err
	}
	return entries, r.factors(ctx, nights, entries)
}

func (r *server) plans(ctx context.Context, hotels []string, into map[string]entry) error {
	if len(hotels) == 0 {
		return nil
	}
	in, args := service.In(hotels)
	return r.db.Query(ctx, "select rate plans",
		"SELECT hotel_id, code, room_code, description, nightly_cents, tax_percent FROM rate_plan WHERE hotel_id IN ("+in+")", args,
		func(rows *sql.Rows) error {
			var p plan
			if err := rows.Scan(&p.Hotel, &p.Code, &p.RoomCode, &p.Description, &p.NightlyCents, &p.TaxPercent); err != nil {
				return err
			}
			e := into[plansKey+p.Hotel]
			e.Plans = append(e.Plans, p)
			into[plansKey+p.Hotel] = e
			return nil
		})
}

// factors reads what nights cost, in percent of the plan's price.
func (r *server) factors(ctx context.Context, nights []string, into map[string]entry) error {
	if len(nights) == 0 {
		return nil
	}
	in, args := service.In(nights)
	return r.db.Query(ctx, "select season factors", "SELECT night, factor_percent FROM season WHERE night IN ("+in+")", args,
		func(rows *sql.Rows) error {
			var night string
			var e entry
			if err := rows.Scan(&night, &e.Factor); err != nil {
				return err
			}
			into[seasonKey+night] = e
			return nil
		})
}
