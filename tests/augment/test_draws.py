from cnncourse import augment


def test_the_order_visits_every_image_once_and_differs_by_seed_and_epoch():
    orders = {
        tuple(augment.order(20, seed=seed, epoch=epoch).tolist())
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9
    assert all(sorted(order) == list(range(20)) for order in orders)


def test_neighbouring_seeds_epochs_and_purposes_share_no_seed():
    seeds = {
        augment.mixed_seed(seed, epoch, purpose)
        for seed in range(10)
        for epoch in range(10)
        for purpose in range(3)
    }
    assert len(seeds) == 300
    assert all(0 <= seed < 2**63 for seed in seeds)
