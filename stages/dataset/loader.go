package dataset

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/plateau-nas/plateau/pipeline/seed"
	"github.com/plateau-nas/plateau/stages/dataset/jpeg"
)

// LoaderOptions says how images become batches.
type LoaderOptions struct {
	Batch    int  // images a batch, at least 1
	Shuffle  bool // a new order each epoch; otherwise the images' own
	DropLast bool // leave out the last batch when it is not full
	Augment  Augment
	// Size is the height and width of the images in batches; 0 for those of the images themselves. Others need
	// Augment.ResizedCrop.
	Size    int
	Seed    uint64 // decides order and augmentation, together with the epoch
	Workers int    // goroutines that prepare batches; 0 for one, or for one a core where pictures have to be decoded. The batches are the same for any number
	Ahead   int    // batches that are prepared ahead of their use; 0 for two for each worker
}

// Batch is a number of images, ready for a network.
type Batch struct {
	X     []float32 // Count x channels x height x width normalized values
	Y     []int64   // Count labels
	Count int       // images in the batch: LoaderOptions.Batch, or fewer in an epoch's last one
}

// Loader turns images into batches. It keeps its buffers from epoch to epoch.
type Loader struct {
	images  *Images
	table   normalizer
	options LoaderOptions
	height  int // of the images in batches
	width   int
	batches int

	busy  atomic.Bool
	order []int  // the epoch's order of the images
	slots []slot // batch b is prepared in slot b modulo their number

	distorters []*distorter // one a worker, if they are needed
}

// slot is a batch's buffers and the sign that they are filled.
type slot struct {
	batch Batch
	x     []float32
	y     []int64
	ready chan struct{}
	err   error // why there is no batch
}

// NewLoader returns a loader of the images, which must not change while it is in use. mean and std have one value
// a channel, of pixels scaled to 0..1.
func NewLoader(im *Images, mean, std []float32, o LoaderOptions) (*Loader, error) {
	wrap := func(err error) error { return fmt.Errorf("load batches: %w", err) }
	if im == nil || im.Count == 0 {
		return nil, wrap(errors.New("there are no images"))
	}
	if err := im.checkValues(); err != nil {
		return nil, wrap(err)
	}
	if len(im.Labels) != im.Count {
		return nil, wrap(fmt.Errorf("%d labels do not make %d images", len(im.Labels), im.Count))
	}
	if len(mean) != im.Channels || len(std) != im.Channels {
		return nil, wrap(fmt.Errorf("%d means and %d standard deviations for images of %d channels", len(mean), len(std), im.Channels))
	}
	for c, s := range std {
		if !(s > 0) {
			return nil, wrap(fmt.Errorf("the standard deviation of channel %d is %v, want a number above 0", c, s))
		}
	}
	if o.Batch < 1 {
		return nil, wrap(fmt.Errorf("a batch of %d images, want at least 1", o.Batch))
	}
	if o.Workers < 0 || o.Ahead < 0 {
		return nil, wrap(fmt.Errorf("%d workers and %d batches ahead, want 0 or more", o.Workers, o.Ahead))
	}
	height, width := im.Height, im.Width
	if o.Size != 0 && (height != o.Size || width != o.Size) {
		if o.Size < 0 || o.Augment.ResizedCrop == 0 {
			return nil, wrap(fmt.Errorf("images of %dx%d pixels are not of the size %d: only those that are augmented by resized_crop are brought to another size", width, height, o.Size))
		}
		height, width = o.Size, o.Size
	}
	if err := o.Augment.check(height, width); err != nil {
		return nil, wrap(err)
	}
	batches := (im.Count + o.Batch - 1) / o.Batch
	if o.DropLast {
		batches = im.Count / o.Batch
	}
	if batches == 0 {
		return nil, wrap(fmt.Errorf("%d images do not fill a batch of %d; give a smaller batch or more images", im.Count, o.Batch))
	}
	if o.Workers == 0 {
		o.Workers = 1
		if im.Encoded != nil {
			o.Workers = runtime.GOMAXPROCS(0) // decoding takes longer than a small network's step
		}
	}
	if o.Ahead == 0 {
		o.Ahead = 2 * o.Workers
	}
	o.Workers = min(o.Workers, batches)
	o.Ahead = min(o.Ahead, batches)

	l := &Loader{images: im, table: newNormalizer(mean, std), options: o, batches: batches, height: height, width: width}
	if o.Augment.distorts() {
		l.distorters = make([]*distorter, o.Workers)
		for i := range l.distorters {
			l.distorters[i] = newDistorter(im, height, width, mean, std)
		}
	}
	l.order = make([]int, im.Count)
	l.slots = make([]slot, o.Ahead+1) // those that are ahead, and the one that is in use
	for i := range l.slots {
		l.slots[i] = slot{
			x:     make([]float32, o.Batch*im.Channels*height*width),
			y:     make([]int64, o.Batch),
			ready: make(chan struct{}, 1),
		}
	}
	return l, nil
}

// Batches returns the number of batches of an epoch.
func (l *Loader) Batches() int { return l.batches }

// Epoch returns the batches of the epoch with the given number. The order depends on the seed and the epoch, the
// augmentation of an image on the seed, the epoch and the image's index, so an epoch is the same whenever and by how
// many workers it is prepared. A batch is valid until the next iteration.
//
// When ctx ends, the iteration yields its error and stops. However the iteration ends, no goroutine is left behind
// when it has. A loader prepares one epoch at a time: iterating over a second one meanwhile yields an error.
func (l *Loader) Epoch(ctx context.Context, epoch int) iter.Seq2[*Batch, error] {
	return l.EpochFrom(ctx, epoch, 0)
}

// EpochFrom is Epoch without the first batches, which are not prepared. There may be no others.
func (l *Loader) EpochFrom(ctx context.Context, epoch, from int) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		if !l.busy.CompareAndSwap(false, true) {
			yield(nil, fmt.Errorf("load batches of epoch %d: the loader is still in use for another epoch; use one loader for each", epoch))
			return
		}
		defer l.busy.Store(false)
		run := l.start(epoch, from)
		defer run.stop()
		for b := from; b < l.batches; b++ {
			s := &l.slots[b%len(l.slots)]
			select {
			case <-s.ready:
			case <-ctx.Done():
			}
			if err := ctx.Err(); err != nil {
				yield(nil, fmt.Errorf("load batches of epoch %d: %w", epoch, err))
				return
			}
			if s.err != nil {
				yield(nil, fmt.Errorf("load batches of epoch %d: %w", epoch, s.err))
				return
			}
			if !yield(&s.batch, nil) {
				return
			}
			if next := b + len(l.slots); next < l.batches {
				run.todo <- next
			}
		}
	}
}

// running is the work on one epoch.
type running struct {
	todo chan int      // batches whose slot is free
	quit chan struct{} // closed when the rest is not wanted any more
	done sync.WaitGroup
}

// stop ends the workers and waits for them.
func (r *running) stop() {
	close(r.quit)
	r.done.Wait()
}

// start has the workers prepare the batches from the given one on.
func (l *Loader) start(epoch, from int) *running {
	label := strconv.Itoa(epoch)
	for i := range l.order {
		l.order[i] = i
	}
	if l.options.Shuffle {
		rng := seed.New(l.options.Seed, "shuffle", label)
		rng.Shuffle(len(l.order), func(i, j int) { l.order[i], l.order[j] = l.order[j], l.order[i] })
	}
	// As many places as slots: giving a batch out never has to wait.
	r := &running{todo: make(chan int, len(l.slots)), quit: make(chan struct{})}
	for i := range l.slots {
		select {
		case <-l.slots[i].ready: // left by an epoch that was not iterated to its end
		default:
		}
	}
	for b := from; b < min(from+len(l.slots), l.batches); b++ {
		r.todo <- b
	}
	augmentation := seed.Derive(l.options.Seed, "augment", label)
	for i := range l.options.Workers {
		r.done.Go(func() {
			source := new(rand.PCG)
			w := worker{l, source, rand.New(source), augmentation, nil, new(jpeg.Decoder)}
			if l.distorters != nil {
				w.distorter = l.distorters[i]
			}
			for {
				select {
				case <-r.quit:
					return
				case b := <-r.todo:
					s := &l.slots[b%len(l.slots)]
					s.err = w.prepare(s, b)
					s.ready <- struct{}{}
				}
			}
		})
	}
	return r
}

type worker struct {
	*Loader
	source    *rand.PCG // of rng
	rng       *rand.Rand
	seed      uint64     // of the epoch's augmentation
	distorter *distorter // nil where images are only shifted, mirrored and covered
	decoder   *jpeg.Decoder
}

// prepare fills the slot with batch b.
func (w *worker) prepare(s *slot, b int) error {
	im, n := w.images, w.images.Channels*w.height*w.width
	indices := w.order[b*w.options.Batch : min((b+1)*w.options.Batch, im.Count)]
	for k, i := range indices {
		var v variant
		to := s.x[k*n : (k+1)*n]
		if w.options.Augment != (Augment{}) {
			seed.Reset(w.source, w.seed, uint64(i))
			v = w.options.Augment.draw(w.rng, w.height, w.width)
		}
		values, err := im.read(i, w.decoder)
		if err != nil {
			return err
		}
		if w.distorter != nil {
			d := w.options.Augment.distort(w.rng, im.Height, im.Width)
			w.distorter.apply(to, values, w.options.Augment, v, d)
		} else {
			w.table.apply(to, values, im.Height, im.Width, v)
		}
		s.y[k] = im.Labels[i]
	}
	s.batch = Batch{X: s.x[:len(indices)*n], Y: s.y[:len(indices)], Count: len(indices)}
	return nil
}
