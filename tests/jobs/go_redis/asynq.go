// What a server of asynq 0.26 and its clients do on the wire, which no registry has that the tests install from: the same
// keys, arguments and replies of its scripts, the same message, the same rest when its queues are empty, on a pool of
// connections.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var (
	enqueue = redis.NewScript(`
		redis.call('HSET', KEYS[1], 'msg', ARGV[1], 'state', 'pending')
		redis.call('LPUSH', KEYS[2], ARGV[2])
		return 1`)
	schedule = redis.NewScript(`
		redis.call('HSET', KEYS[1], 'msg', ARGV[1], 'state', 'scheduled')
		redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
		return 1`)
	dequeue = redis.NewScript(`
		local id = redis.call('EXISTS', KEYS[2]) == 0 and redis.call('RPOPLPUSH', KEYS[1], KEYS[3])
		if not id then return nil end
		redis.call('ZADD', KEYS[4], ARGV[1], id)
		redis.call('HSET', ARGV[2] .. id, 'state', 'active')
		return redis.call('HGET', ARGV[2] .. id, 'msg')`)
	done = redis.NewScript(`
		if redis.call('LREM', KEYS[1], 0, ARGV[1]) == 0 then return redis.error_reply('NOT FOUND') end
		redis.call('ZREM', KEYS[2], ARGV[1])
		redis.call('DEL', KEYS[3])
		redis.call('INCR', KEYS[5])
		return redis.status_reply('OK')`)
	retry = redis.NewScript(`
		if redis.call('LREM', KEYS[2], 0, ARGV[1]) == 0 then return redis.error_reply('NOT FOUND') end
		redis.call('ZREM', KEYS[3], ARGV[1])
		redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])
		redis.call('HSET', KEYS[1], 'msg', ARGV[2], 'state', 'retry')
		return redis.status_reply('OK')`)
	forward = redis.NewScript(`
		local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1])
		for _, id in ipairs(due) do
			redis.call('ZREM', KEYS[1], id)
			redis.call('LPUSH', KEYS[2], id)
		end
		return #due`)
	beat = redis.NewScript(`
		redis.call('SETEX', KEYS[1], ARGV[1], ARGV[2])
		redis.call('DEL', KEYS[2])
		for i = 3, #ARGV - 1, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
		return redis.status_reply('OK')`)
)

// Its fields by their numbers: type, payload, id, queue, and how often it has failed.
type task map[uint64]string

const (
	kind, payload, id, queue, retried = 1, 2, 3, 4, 6
	lease                             = 30 * time.Second
)

func (t task) pack() string {
	var out []byte
	for field := uint64(1); field < 16; field++ {
		value, there := t[field]
		switch number, err := strconv.Atoi(value); {
		case !there:
		case field == retried && err == nil:
			out = binary.AppendUvarint(binary.AppendUvarint(out, field<<3), uint64(number))
		default:
			out = append(binary.AppendUvarint(binary.AppendUvarint(out, field<<3|2), uint64(len(value))), value...)
		}
	}
	return string(out)
}

func unpack(message string) task {
	rest, found := []byte(message), task{}
	number := func() uint64 {
		number, length := binary.Uvarint(rest)
		rest = rest[length:]
		return number
	}
	for len(rest) > 0 {
		field := number()
		value := number()
		if field&7 == 0 {
			found[field>>3] = strconv.FormatUint(value, 10)
			continue
		}
		found[field>>3], rest = string(rest[:value]), rest[value:]
	}
	return found
}

func keys(queue string, parts ...string) []string {
	for i, part := range parts {
		parts[i] = "asynq:{" + queue + "}:" + part
	}
	return parts
}

func queues() []string {
	return strings.Split(os.Getenv("QUEUES"), ",")
}

type server struct {
	client *redis.Client
	worker string
	lock   sync.Mutex
	active map[string]task
}

func (s *server) handle(t task) {
	words := strings.Fields(t[payload])
	seconds, err := strconv.ParseFloat(words[1], 64)
	check(err)
	failures, _ := strconv.Atoi(t[retried])
	wanted, _ := strconv.Atoi(os.Getenv("RETRIES"))
	if failures < wanted {
		time.Sleep(time.Duration(seconds * float64(time.Second)))
		modified := task{7: "once more", retried: strconv.Itoa(failures + 1)}
		for _, field := range []uint64{kind, payload, id, queue} {
			modified[field] = t[field]
		}
		all := keys(t[queue], "t:"+t[id], "active", "lease", "retry", "processed:day", "failed:day", "processed", "failed")
		check(retry.Run(ctx, s.client, all, t[id], modified.pack(), time.Now().Unix(), 1, 1, 1).Err())
	} else {
		run(t[payload], s.worker)
		all := keys(t[queue], "active", "lease", "t:"+t[id], "processed:day", "processed")
		check(done.Run(ctx, s.client, all, t[id], 1, 1).Err())
	}
	s.lock.Lock()
	delete(s.active, t[id])
	s.lock.Unlock()
}

// The first task of the first queue that has one.
func (s *server) next() (task, bool) {
	for _, queue := range queues() {
		all := keys(queue, "pending", "paused", "active", "lease")
		until := time.Now().Add(lease).Unix()
		message, err := dequeue.Run(ctx, s.client, all, until, keys(queue, "t:")[0]).Text()
		if errors.Is(err, redis.Nil) {
			continue
		}
		check(err)
		return unpack(message), true
	}
	return nil, false
}

func (s *server) process() {
	room := make(chan struct{}, 4)
	for {
		room <- struct{}{}
		t, found := s.next()
		if !found {
			time.Sleep(time.Second/2 + rand.N(time.Second))
			<-room
			continue
		}
		s.lock.Lock()
		s.active[t[id]] = t
		s.lock.Unlock()
		go func() {
			s.handle(t)
			<-room
		}()
	}
}

// Every five seconds it says what it works on, and for how much longer.
func (s *server) beat(name string) {
	for ; ; time.Sleep(5 * time.Second) {
		arguments, leases := []any{10, "info"}, map[string][]redis.Z{}
		s.lock.Lock()
		for _, t := range s.active {
			arguments = append(arguments, t[id], "info")
			leases[t[queue]] = append(leases[t[queue]], redis.Z{Member: t[id], Score: float64(time.Now().Add(lease).Unix())})
		}
		s.lock.Unlock()
		check(beat.Run(ctx, s.client, []string{"asynq:servers:{" + name + "}", "asynq:workers:{" + name + "}"}, arguments...).Err())
		for queue, all := range leases {
			check(s.client.ZAddXX(ctx, keys(queue, "lease")[0], all...).Err())
		}
	}
}

func (s *server) forward() {
	for ; ; time.Sleep(time.Second) {
		for _, queue := range queues() {
			for _, part := range []string{"scheduled", "retry"} {
				now := time.Now()
				check(forward.Run(ctx, s.client, keys(queue, part, "pending"), now.Unix(), keys(queue, "t:")[0], now.UnixNano(), keys(queue, "g:")[0]).Err())
			}
		}
	}
}

func serve(client *redis.Client, worker string) {
	check(client.Ping(ctx).Err())
	host, err := os.Hostname()
	check(err)
	s := &server{client: client, worker: worker, active: map[string]task{}}
	go s.beat(fmt.Sprintf("%s:%d:%08x", host, os.Getpid(), rand.Uint32()))
	go s.forward()
	note("ready", "-", worker)
	s.process()
}

func enqueueAll(client *redis.Client) {
	padding, _ := strconv.Atoi(os.Getenv("PADDING"))
	lines := bufio.NewScanner(os.Stdin)
	for number := 0; lines.Scan(); number++ {
		words := strings.Fields(lines.Text())
		wait, err := strconv.ParseFloat(words[2], 64)
		check(err)
		name := queues()[number%len(queues())]
		text := words[0] + " " + words[1] + strings.Repeat(" ", padding)
		message := task{kind: "work", payload: text, id: words[0], queue: name}.pack()
		note("push", words[0], "producer")
		if wait > 0 {
			due := time.Now().Add(time.Duration(wait * float64(time.Second))).Unix()
			check(schedule.Run(ctx, client, keys(name, "t:"+words[0], "scheduled"), message, due, words[0]).Err())
		} else {
			check(enqueue.Run(ctx, client, keys(name, "t:"+words[0], "pending"), message, words[0], 1).Err())
		}
	}
	check(lines.Err())
}
