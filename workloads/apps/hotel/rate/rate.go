// Package rate prices stays.
package rate

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
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
	db, err := s.OpenDB()
	if err != nil {
		return err
	}
	cache, err := s.OpenCache(cacheTTL)
	if err != nil {
		return err
	}
	rpc, err := s.AddRPC(ctx, Port, db.Ready)
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

// quote is the price of a stay: what the cache holds.
type quote struct {
	Plan                       plan
	TotalCents, TotalInclusive int64
}

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
	prefix := fmt.Sprintf("rate:%s:%s:", req.InDate, req.OutDate)
	keys := make([]string, len(req.HotelIds))
	for i, id := range req.HotelIds {
		keys[i] = prefix + id
	}
	quotes, err := service.Through(ctx, r.cache, keys, func(ctx context.Context, missing []string) (map[string]quote, error) {
		hotels := make([]string, len(missing))
		for i, key := range missing {
			hotels[i] = strings.TrimPrefix(key, prefix)
		}
		return r.quotes(ctx, prefix, hotels, st)
	})
	if err != nil {
		return nil, err
	}
	resp := &hotelpb.GetRatesResponse{}
	for _, q := range quotes {
		resp.RatePlans = append(resp.RatePlans, &hotelpb.RatePlan{
			HotelId: q.Plan.Hotel, Code: q.Plan.Code, InDate: req.InDate, OutDate: req.OutDate,
			RoomType: &hotelpb.RoomType{
				Code: q.Plan.RoomCode, Description: q.Plan.Description, Currency: currency,
				NightlyCents: q.Plan.NightlyCents, TotalCents: q.TotalCents, TotalInclusiveCents: q.TotalInclusive,
			},
		})
	}
	slices.SortFunc(resp.RatePlans, func(a, b *hotelpb.RatePlan) int {
		return cmp.Or(cmp.Compare(a.RoomType.TotalInclusiveCents, b.RoomType.TotalInclusiveCents), cmp.Compare(a.HotelId, b.HotelId))
	})
	return resp, nil
}

// quotes prices the stay at hotels from the store. The keys of the answer are prefix and hotel.
func (r *server) quotes(ctx context.Context, prefix string, hotels []string, st stay.Stay) (map[string]quote, error) {
	factors, err := r.factors(ctx, st)
	if err != nil {
		return nil, err
	}
	in, args := service.In(hotels)
	var plans []plan
	err = r.db.Query(ctx, "select rate plans",
		"SELECT hotel_id, code, room_code, description, nightly_cents, tax_percent FROM rate_plan WHERE hotel_id IN ("+in+")", args,
		func(rows *sql.Rows) error {
			var p plan
			if err := rows.Scan(&p.Hotel, &p.Code, &p.RoomCode, &p.Description, &p.NightlyCents, &p.TaxPercent); err != nil {
				return err
			}
			plans = append(plans, p)
			return nil
		})
	if err != nil {
		return nil, err
	}
	best := map[string]quote{}
	for _, p := range plans {
		q, err := r.price(p, st, factors)
		if err != nil {
			return nil, err
		}
		key := prefix + p.Hotel
		if old, ok := best[key]; !ok || q.TotalInclusive < old.TotalInclusive {
			best[key] = q
		}
	}
	return best, nil
}

func (r *server) price(p plan, st stay.Stay, factors map[string]int64) (quote, error) {
	q := quote{Plan: p}
	for i := range st.Nights() {
		night := st.Night(i)
		factor, ok := factors[night.Format(time.DateOnly)]
		if !ok {
			factor = percent
		}
		supplement, err := r.supplement(p, night)
		if err != nil {
			return quote{}, err
		}
		q.TotalCents += p.NightlyCents * (factor + supplement) / percent
	}
	q.TotalInclusive = q.TotalCents * (percent + p.TaxPercent) / percent
	return q, nil
}

// factors returns what the nights of a stay cost, in percent of the plan's price.
func (r *server) factors(ctx context.Context, st stay.Stay) (map[string]int64, error) {
	factors := map[string]int64{}
	err := r.db.Query(ctx, "select season factors",
		"SELECT night, factor_percent FROM season WHERE night >= ? AND night < ?", []any{st.From(), st.Until()},
		func(rows *sql.Rows) error {
			var night string
			var factor int64
			if err := rows.Scan(&night, &factor); err != nil {
				return err
			}
			factors[night] = factor
			return nil
		})
	return factors, err
}
