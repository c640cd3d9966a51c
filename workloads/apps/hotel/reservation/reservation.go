// Package reservation keeps the books: which rooms are taken in which night.
package reservation

import (
	"context"
	"database/sql"
	"errors"
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
const Port = "8087"

// cacheTTL bounds how old availability may be. Bookings never trust the cache.
const (
	cacheTTL  = 5 * time.Second
	keyPrefix = "calendar:"
	maxRooms  = 20
)

// Setup is the service's setup.
func Setup(ctx context.Context, s *service.Service) error {
	rpc, db, cache, err := s.AddCachedRPC(ctx, Port, cacheTTL)
	if err != nil {
		return err
	}
	hotelpb.RegisterReservationServer(rpc, &server{db: db, cache: cache})
	return nil
}

type server struct {
	hotelpb.UnimplementedReservationServer
	db    *service.DB
	cache *service.Cache
}

func checkRooms(rooms int32) error {
	if rooms < 1 || rooms > maxRooms {
		return status.Errorf(codes.InvalidArgument, "rooms: want 1 to %d, not %d", maxRooms, rooms)
	}
	return nil
}

// CheckAvailability implements hotelpb.ReservationServer.
func (r *server) CheckAvailability(ctx context.Context, req *hotelpb.CheckAvailabilityRequest) (*hotelpb.CheckAvailabilityResponse, error) {
	st, err := stay.Parse(req.InDate, req.OutDate)
	if err != nil {
		return nil, err
	}
	if err := checkRooms(req.Rooms); err != nil {
		return nil, err
	}
	resp := &hotelpb.CheckAvailabilityResponse{}
	if len(req.HotelIds) == 0 {
		return resp, nil
	}
	keys := make([]string, len(req.HotelIds))
	for i, id := range req.HotelIds {
		keys[i] = keyPrefix + id
	}
	calendars, err := service.Through(ctx, r.cache, keys, r.calendars)
	if err != nil {
		return nil, err
	}
	for i, id := range req.HotelIds {
		if calendars[keys[i]].free(st) >= req.Rooms {
			resp.HotelIds = append(resp.HotelIds, id)
		}
	}
	return resp, nil
}

// calendar is what the cache holds of a hotel: the free rooms of every night from First on.
type calendar struct {
	First string
	Free  []int32
}

// free returns how many rooms are free in the fullest night of a stay; a night that is not for sale has none.
func (c calendar) free(st stay.Stay) int32 {
	first, err := time.Parse(time.DateOnly, c.First)
	if err != nil {
		return 0
	}
	at := int(st.In.Sub(first) / (24 * time.Hour))
	if at < 0 || at+st.Nights() > len(c.Free) {
		return 0
	}
	return slices.Min(c.Free[at : at+st.Nights()])
}

// calendars reads calendars from the store; the keys are those of the cache.
func (r *server) calendars(ctx context.Context, missing []string) (map[string]calendar, error) {
	hotels := make([]string, len(missing))
	for i, key := range missing {
		hotels[i] = strings.TrimPrefix(key, keyPrefix)
	}
	in, args := service.In(hotels)
	calendars := map[string]calendar{}
	err := r.db.Query(ctx, "select free rooms",
		"SELECT hotel_id, night, capacity - booked FROM room_night WHERE hotel_id IN ("+in+") ORDER BY hotel_id, night", args, func(rows *sql.Rows) error {
			var hotel, night string
			var free int32
			if err := rows.Scan(&hotel, &night, &free); err != nil {
				return err
			}
			c, known := calendars[keyPrefix+hotel]
			if !known {
				c.First = night
			}
			first, err := time.Parse(time.DateOnly, c.First)
			if err != nil {
				return fmt.Errorf("read night of hotel %s: %w", hotel, err)
			}
			// Nights that are not for sale are full.
			for first.AddDate(0, 0, len(c.Free)).Format(time.DateOnly) < night {
				c.Free = append(c.Free, 0)
			}
			c.Free = append(c.Free, free)
			calendars[keyPrefix+hotel] = c
			return nil
		})
	return calendars, err
}

// MakeReservation implements hotelpb.ReservationServer. One transaction locks the nights, checks them, takes the rooms and
// writes the reservation.
func (r *server) MakeReservation(ctx context.Context, req *hotelpb.MakeReservationRequest) (*hotelpb.MakeReservationResponse, error) {
	st, err := stay.Parse(req.InDate, req.OutDate)
	if err != nil {
		return nil, err
	}
	if err := checkRooms(req.Rooms); err != nil {
		return nil, err
	}
	if req.RequestId == "" || req.CustomerName == "" {
		return nil, status.Error(codes.InvalidArgument, "request id and customer name are required")
	}
	var id int64
	err = r.db.Transaction(ctx, "book rooms", func(ctx context.Context, tx *sql.Tx) error {
		var err error
		id, err = book(ctx, tx, req, st)
		return err
	})
	if service.Duplicate(err) {
		id, err = r.booked(ctx, req.RequestId)
	}
	if err != nil {
		return nil, err
	}
	// The hotel's availability is wrong until its entry is gone or has expired. The booking stands either way.
	_ = r.cache.Delete(ctx, keyPrefix+req.HotelId)
	return &hotelpb.MakeReservationResponse{ReservationId: id}, nil
}

func book(ctx context.Context, tx *sql.Tx, req *hotelpb.MakeReservationRequest, st stay.Stay) (int64, error) {
	rows, err := tx.QueryContext(ctx,
		"SELECT capacity - booked FROM room_night WHERE hotel_id = ? AND night >= ? AND night < ? FOR UPDATE", req.HotelId, st.From(), st.Until())
	if err != nil {
		return 0, err
	}
	nights, full := 0, false
	for rows.Next() {
		var free int32
		if err := rows.Scan(&free); err != nil {
			return 0, errors.Join(err, rows.Close())
		}
		nights++
		full = full || free < req.Rooms
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return 0, err
	}
	if nights < st.Nights() || full {
		return 0, status.Errorf(codes.FailedPrecondition, "hotel %s has no %d rooms free from %s to %s", req.HotelId, req.Rooms, st.From(), st.Until())
	}
	result, err := tx.ExecContext(ctx,
		"INSERT INTO reservation (request_id, customer_name, hotel_id, in_date, out_date, rooms) VALUES (?, ?, ?, ?, ?, ?)",
		req.RequestId, req.CustomerName, req.HotelId, st.From(), st.Until(), req.Rooms)
	if err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx,
		"UPDATE room_night SET booked = booked + ? WHERE hotel_id = ? AND night >= ? AND night < ?", req.Rooms, req.HotelId, st.From(), st.Until()); err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

// booked returns the reservation that an earlier attempt of the same request made.
func (r *server) booked(ctx context.Context, request string) (int64, error) {
	var id int64
	err := r.db.Query(ctx, "select reservation", "SELECT id FROM reservation WHERE request_id = ?", []any{request},
		func(rows *sql.Rows) error { return rows.Scan(&id) })
	if err == nil && id == 0 {
		err = fmt.Errorf("find reservation of request %s: %w", request, sql.ErrNoRows)
	}
	return id, err
}
