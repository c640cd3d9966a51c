// Package reservation keeps the books: which rooms are taken in which night.
package reservation

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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
	keyPrefix = "rooms:"
	maxRooms  = 20
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
		keys[i] = cacheKey(id, st)
	}
	free, err := service.Through(ctx, r.cache, keys, func(ctx context.Context, missing []string) (map[string]int64, error) {
		return r.free(ctx, missing, st)
	})
	if err != nil {
		return nil, err
	}
	for i, id := range req.HotelIds {
		if free[keys[i]] >= int64(req.Rooms) {
			resp.HotelIds = append(resp.HotelIds, id)
		}
	}
	return resp, nil
}

// cacheKey ends with the hotel.
func cacheKey(hotel string, st stay.Stay) string {
	return keyPrefix + st.From() + ":" + st.Until() + ":" + hotel
}

// free returns for each key how many rooms its hotel has in the fullest night of the stay. A hotel that does not sell
// every night of the stay has none.
func (r *server) free(ctx context.Context, keys []string, st stay.Stay) (map[string]int64, error) {
	byHotel := make(map[string]string, len(keys))
	hotels := make([]string, len(keys))
	for i, key := range keys {
		hotels[i] = key[strings.LastIndexByte(key, ':')+1:]
		byHotel[hotels[i]] = key
	}
	in, args := service.In(hotels)
	free, nights := map[string]int64{}, map[string]int{}
	err := r.db.Query(ctx, "select free rooms",
		"SELECT hotel_id, capacity - booked FROM room_night WHERE hotel_id IN ("+in+") AND night >= ? AND night < ?",
		append(args, st.From(), st.Until()), func(rows *sql.Rows) error {
			var hotel string
			var n int64
			if err := rows.Scan(&hotel, &n); err != nil {
				return err
			}
			key := byHotel[hotel]
			if old, seen := free[key]; !seen || n < old {
				free[key] = n
			}
			nights[key]++
			return nil
		})
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if nights[key] < st.Nights() {
			free[key] = 0
		}
	}
	return free, nil
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
	// The availability of this stay is wrong until its entry is gone or has expired; other stays in the same nights are
	// right again within cacheTTL. The booking stands either way.
	_ = r.cache.Delete(ctx, cacheKey(req.HotelId, st))
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
