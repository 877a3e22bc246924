namespace Tare.Capture.Running;

/// <summary>A queue of a few blocks between two threads, which allocates nothing: channels and blocking collections do for each wait.</summary>
internal sealed class BlockQueue(int capacity)
{
    private readonly CaptureBlock[] _blocks = new CaptureBlock[capacity];
    private readonly object _lock = new();
    private int _first, _count;
    private bool _ended;

    /// <summary>Appends a block. Throws where there is no room: there are never more blocks than that.</summary>
    public void Add(CaptureBlock block)
    {
        lock (_lock)
        {
            if (_count == capacity) throw new InvalidOperationException("more blocks than there are");
            _blocks[(_first + _count++) % capacity] = block;
            Monitor.PulseAll(_lock);
        }
    }

    /// <summary>Waits for the next block; null once the queue has ended and is empty.</summary>
    public CaptureBlock? Take()
    {
        lock (_lock)
        {
            while (_count == 0 && !_ended) Monitor.Wait(_lock);
            if (_count == 0) return null;
            var block = _blocks[_first];
            _first = (_first + 1) % capacity;
            _count--;
            return block;
        }
    }

    /// <summary>Waits until so many blocks lie in the queue.</summary>
    public void WaitFor(int count)
    {
        lock (_lock)
            while (_count < count) Monitor.Wait(_lock);
    }

    /// <summary>No block follows.</summary>
    public void End()
    {
        lock (_lock)
        {
            _ended = true;
            Monitor.PulseAll(_lock);
        }
    }
}
